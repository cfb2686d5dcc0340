"""What changes in a cluster while a drill runs, as entries of its record."""
