"""drkit's tests: ``unit`` without I/O, ``contract`` for each port, ``lab`` against real PostgreSQL, Borg and sshd."""
