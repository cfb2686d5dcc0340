"""What a drill must not do to a cluster, and to which one: its blast radius."""
