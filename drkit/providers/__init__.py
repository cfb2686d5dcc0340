"""Where servers come from, and what stands around them: Hetzner Cloud, hosts that exist, the lab."""
