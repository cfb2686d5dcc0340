"""The judge: from a record to its verdict."""
