"""The vault: a Borg repository, and the port through which the rest of drkit sees it."""
