"""Could a cluster be lost right now? Asked of the vaults and of this machine's records; judged from values alone."""
