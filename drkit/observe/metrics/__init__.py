"""What is known of a cluster's protection, for Prometheus: samples from values, and the ways they get there."""
