"""Scenarios: the files in which drills are written down."""
