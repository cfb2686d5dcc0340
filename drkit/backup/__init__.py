"""``drkit backup``: sources into vaults, sealed as one recovery point."""
