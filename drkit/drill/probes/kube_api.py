"""Probes of kind ``kube-api``: whether an API server says that it is ready.

https://kubernetes.io/docs/reference/using-api/health-checks/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.clock import SystemClock
from drkit.cluster.transport import Transport
from drkit.drill.probes.http import HttpKind
from drkit.drill.probes.wanted import Http

if TYPE_CHECKING:
    from drkit.drill.probes.doors import Ways
    from drkit.drill.probes.wanted import KubeApi

_PATH = "/readyz"
_ACCEPT = (200, 299)


def kube_api(wanted: KubeApi, ways: Ways) -> HttpKind:
    """The kind.

    Raises:
        ConfigurationError: the credentials of the kubeconfig cannot be had, or are none.
    """
    reached = Transport(wanted.access, SystemClock()).connection()
    return HttpKind(
        Http(wanted.access.server + _PATH, wanted.connect, accept=_ACCEPT),
        ways,
        context=reached.context,
        server_name=reached.server_name,
        headers=reached.headers,
    )
