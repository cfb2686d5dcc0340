"""Tests that run the real command line against real PostgreSQL, real Borg and a real sshd on loopback."""
