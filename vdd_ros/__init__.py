"""From teleoperated demonstrations to a real-time mixture-of-experts policy on a ROS 2 robot."""
