"""Sources: one thing that is backed up, one kind a file."""
