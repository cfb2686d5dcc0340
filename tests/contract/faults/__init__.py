"""The suite of faults: on one machine of a lab's image, at the stand-in for Hetzner's API, at an API in memory."""
