"""The rim: the only folder that imports rclpy or message types. Nodes host, the core decides."""
