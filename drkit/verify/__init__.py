"""``drkit verify``: is what the vaults hold what was sealed, and can it be restored."""
