"""``drkit init``: what is there is found out by looking, and written down as a commented ``drkit.yaml``."""
