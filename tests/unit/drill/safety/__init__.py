"""The pure core and the small shells around it, each alone."""
