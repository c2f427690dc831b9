"""Scripted operators: they see what a person at a leader arm sees and send what it sends."""
