"""Unattended: which jobs are due when, run as processes of their own, and what became of them."""
