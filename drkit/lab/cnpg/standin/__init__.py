"""drkit's stand-in for the CloudNativePG operator. It runs in the lab's pods, with what Debian's Python brings."""

SAID = "drkit's stand-in for the CloudNativePG operator: not the real one"
"""What it says of itself, first of all."""
