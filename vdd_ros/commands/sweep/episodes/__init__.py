"""A sweep over splits of recorded episodes, for robots that no simulator stands in for."""
