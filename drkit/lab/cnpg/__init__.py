"""CloudNativePG in the lab: a stand-in for its operator with Patroni inside, or the real one where it is given."""
