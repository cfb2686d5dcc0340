"""One of the operator's pods works, the others wait: a Lease decides, with the real operator's 15/10/2 seconds.

See https://pkg.go.dev/k8s.io/client-go/tools/leaderelection for the rules. A holder that could not renew its lease for
RENEW_SECONDS stops working before another one may begin.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .kube import ApiError

if TYPE_CHECKING:
    from .kube import Kube

LEASE_SECONDS = 15
RENEW_SECONDS = 10.0
RETRY_SECONDS = 2.0
NAME = "cnpg-stand-in"


class Election:
    """Whether this pod is the one that works."""

    def __init__(self, kube: Kube, namespace: str, identity: str) -> None:
        self._kube = kube
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._identity = identity
        self._renewed: float | None = None
        self._seen = ""
        self._seen_at = 0.0

    def won(self) -> bool:
        """Take or renew the lease where that is due, and say whether this pod holds it."""
        now = time.monotonic()
        if self._renewed is not None and now - self._renewed < RETRY_SECONDS:
            return True
        try:
            held = self._try(now)
        except ApiError:
            return self._renewed is not None and now - self._renewed < RENEW_SECONDS
        self._renewed = now if held else None
        return held

    def _try(self, now: float) -> bool:
        found = self._kube.get(f"{self._leases}/{NAME}")
        if found is None:
            return self._kube.create(self._leases, self._lease({}))
        spec = found.get("spec", {})
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        # Judged by this pod's own clock: how long nothing has changed, not what the holder's clock says.
        if renewed != self._seen:
            self._seen, self._seen_at = renewed, now
        if holder and holder != self._identity and now - self._seen_at < LEASE_SECONDS:
            return False
        return self._kube.replace(f"{self._leases}/{NAME}", self._lease(found["metadata"]))

    def _lease(self, metadata: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "resourceVersion": metadata.get("resourceVersion")},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
