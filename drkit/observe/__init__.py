"""What drkit tells people while it works: progress, warnings, results."""
