"""What drkit relies on of k3s, stated against the lab's stand-in, and against the real one where it is given."""
