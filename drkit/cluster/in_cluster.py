"""How a pod reaches the API of the cluster that it runs in: as its service account.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ says what the kubelet puts where, and that tokens
are renewed in their file before they expire.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drkit.cluster.kubeconfig import Access, Credentials
from drkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
_HINT = "in-cluster is for pods with a service account; elsewhere name a kubeconfig"


def access(environment: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT) -> Access:
    """What a pod is told of the API, with the token as the file that it is read from, again and again.

    Args:
        environment: has the API's address.
        directory: where the service account's ``token`` and ``ca.crt`` are.

    Raises:
        ConfigurationError: this is no pod, or one without a service account.
    """
    host, port = environment.get(_HOST, ""), environment.get(_PORT, "")
    if not host or not port.isdecimal():
        raise ConfigurationError(f"cluster.kubeconfig: in-cluster: {_HOST} and {_PORT} do not name an API", _HINT)
    token, authority = directory / "token", directory / "ca.crt"
    try:
        certificate = authority.read_bytes()
        with token.open("rb"):
            pass  # whether it can be read; what is in it changes
    except OSError as error:
        raise ConfigurationError(
            f"cluster.kubeconfig: in-cluster: {error.filename} cannot be read: {error.strerror}", _HINT
        ) from None
    if not certificate.strip():  # an empty one would mean the machine's own list of authorities
        raise ConfigurationError(f"cluster.kubeconfig: in-cluster: {authority} is empty", _HINT)
    name = f"[{host}]" if ":" in host else host
    return Access(f"https://{name}:{port}", certificate, "", Credentials(token_file=token))
