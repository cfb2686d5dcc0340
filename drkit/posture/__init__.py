"""What would go wrong with a cluster, and for how long: its settings, their windows, and the audit's rules."""
