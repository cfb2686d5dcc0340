"""What drills are made of, without any cluster."""
