"""Demonstrations recorded elsewhere: what they are declared to be, read, checked, made episodes."""
