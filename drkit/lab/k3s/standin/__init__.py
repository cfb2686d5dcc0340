"""drkit's stand-in for k3s: the part of its interface that drkit uses, over the real upstream components.

It runs on a lab's nodes with the standard library, python3-cryptography and python3-yaml alone, so nothing here imports
the rest of drkit. It is not k3s, and says so in ``k3s --version`` and in the first line of its log.
"""

KUBERNETES_VERSION = "v1.34.4"
VERSION = f"{KUBERNETES_VERSION}+standin"
"""What nodes and the API server report. k3s would say ``+k3s1``."""
