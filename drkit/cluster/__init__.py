"""The cluster as it runs: its nodes, its API, and what k3s and CloudNativePG keep where."""
