"""Stand-ins for what a rehearsal cannot have: a PostgreSQL server and a Storage Box on loopback, real parts both."""
