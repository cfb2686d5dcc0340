"""The provider for Hetzner against the stand-in, with machines in memory and the unmodified client."""
