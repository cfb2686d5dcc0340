"""Tests of the prober."""
