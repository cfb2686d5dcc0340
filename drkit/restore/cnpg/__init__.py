"""Clusters of CloudNativePG whose volumes are lost: made anew, and filled from the dumps."""
