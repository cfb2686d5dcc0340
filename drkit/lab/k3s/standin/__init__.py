"""drkit's stand-in for k3s: the part of its interface that drkit uses, over the real upstream components.

It runs on a lab's nodes with the standard library, python3-cryptography and python3-yaml alone, so nothing here imports
the rest of drkit. It is not k3s, and says so in ``k3s --version`` and in the first line of its log. Where it differs:

- Joining nodes ask the supervisor on port 9345 beside the API server's 6443, where k3s serves both on the latter.
- Pods' networks are joined by routes (flannel's host-gw), and network policies are not enforced.
- Of k3s's packaged parts it brings CoreDNS and local-path; no Traefik, ServiceLB, metrics-server, or Helm controller.
- Snapshots stay on the node: no S3, and no ETCDSnapshotFile objects.
- The components are processes of their own; as with k3s all end when one does.
- There are two releases of it, as ``+k3s1`` and ``+k3s2`` are of one Kubernetes. They package CoreDNS differently,
  and are the same else; the program ``k3s`` alone says which of them it is.
"""

import os

RELEASE = "K3S_STANDIN_RELEASE"
"""The variable in which the program ``k3s`` of a later release says so."""
KUBERNETES_VERSION = "v1.34.4"
VERSION = f"{KUBERNETES_VERSION}+standin{os.environ.get(RELEASE, '')}"
"""What the first release's nodes and API server report. k3s would say ``+k3s1``."""

NOT_ENFORCED = "network policies are accepted and not enforced"
"""Said where it is asked for its version, and at each start: an open door that looks shut is worse than one that is."""
