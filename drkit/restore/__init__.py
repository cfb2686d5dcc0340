"""``drkit restore``: plan, execution with a journal, verification against the proofs."""
