"""A PostgreSQL server for the time of one verification: by this machine's programs, or in a container."""
