"""Escrow of what opens the backups, and rotation of it."""
