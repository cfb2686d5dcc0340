"""``drkit.yaml``: its shape, how it is read, and how the secrets that it names are fetched."""
