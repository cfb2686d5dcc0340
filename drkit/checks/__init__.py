"""``drkit check``: each thing that drkit will need, tried for real without changing anything."""
