"""A sealed export of manifests put back into a cluster's API."""
