"""PostgreSQL: connections, its own programs, proofs, dumps and a scratch server."""
