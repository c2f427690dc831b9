"""The page: an operator's view of recording in a browser, without ROS (`nodes/page_node.py` hosts
it)."""
