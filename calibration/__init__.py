"""Calibration of what the contract declares: numpy and scipy on recorded data."""
