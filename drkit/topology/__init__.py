"""What a rebuild must create: servers and what stands around them, from the provider's API and from the nodes."""
