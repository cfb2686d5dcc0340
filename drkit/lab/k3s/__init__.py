"""The k3s of the lab: drkit's stand-in over the upstream components, how it is built, and what a node gets of it."""
