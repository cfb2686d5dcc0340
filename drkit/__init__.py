"""drkit: backup, disaster recovery and high-availability drills for small k3s clusters."""

__version__ = "0.1.0"
