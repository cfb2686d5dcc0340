"""Reports of drills."""
