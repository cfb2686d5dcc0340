"""How fast drkit is, measured beside the tools that people use instead: ``make bench``."""
