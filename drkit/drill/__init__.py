"""Drills: scenarios that hurt a cluster on purpose, measure what users would have noticed, and judge it."""
