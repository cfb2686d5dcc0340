"""A k3s cluster with its old identity on new machines: files rewritten, datastore reset, nodes woken and joined."""
