"""What an operator's device says, made into targets of the follower; no ROS, no clock."""
