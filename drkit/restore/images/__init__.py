"""Whether the images that a cluster's workloads need can be had for the new machines."""
