"""What a drill does to a cluster: one kind of fault a file."""
