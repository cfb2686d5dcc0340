"""Drills: what needs no cluster."""
