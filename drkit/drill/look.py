"""A live cluster, looked at for a drill: its objects, a snapshot of it, and whether it is whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from drkit.cluster import fields
from drkit.cluster.cnpg import ROOT
from drkit.cluster.members import NODES
from drkit.drill import snapshot, whole
from drkit.errors import DrkitError, KubeRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from drkit.clock import Clock
    from drkit.cluster.kube import Api, Object
    from drkit.drill.snapshot import Snapshot
    from drkit.drill.whole import Problem
    from drkit.providers.port import TargetHealth

    Objects = Mapping[str, Sequence[Object]]

POOLER, SERVICE, SLICE, BUDGET = "Pooler", "Service", "EndpointSlice", "PodDisruptionBudget"
PATHS = {
    whole.NODE: NODES,
    whole.POD: "/api/v1/pods",
    whole.DEPLOYMENT: "/apis/apps/v1/deployments",
    whole.STATEFUL_SET: "/apis/apps/v1/statefulsets",
    whole.DAEMON_SET: "/apis/apps/v1/daemonsets",
    whole.CLUSTER: f"{ROOT}/clusters",
    POOLER: f"{ROOT}/poolers",
    SERVICE: "/api/v1/services",
    SLICE: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    BUDGET: "/apis/policy/v1/poddisruptionbudgets",
}
"""Where the objects of each kind are listed; of endpoints those in ``default`` alone, where the API's own are."""
_API_SERVICE = "kubernetes"
_SERVICE_LABEL = "kubernetes.io/service-name"
_SIDE_BY_SIDE = 4
_NOT_FOUND = 404


def objects(api: Api, kinds: Iterable[str] = tuple(PATHS)) -> dict[str, list[Object]]:
    """All objects of these kinds, of ``PATHS``; none of a kind that the cluster does not have.

    Raises:
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let us list them.
    """
    wanted = tuple(kinds)
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "look") as pool:
        return dict(zip(wanted, pool.map(partial(_listed, api), wanted), strict=True))


def _listed(api: Api, kind: str) -> list[Object]:
    try:
        return [each for page in api.pages(PATHS[kind]) for each in page["items"]]
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return []
        raise


def taken(
    found: Objects,
    *,
    targets: Iterable[TargetHealth] | None = None,
    health: Sequence[str] = (),
    servers: Sequence[str] = (),
) -> Snapshot:
    """The snapshot from which a drill's targets and probes are chosen. Pure.

    Args:
        found: as ``objects`` gives them.
        targets: how the load balancer finds its targets, by the names of nodes; None where there is none to ask.
        health: the URLs under ``health:`` of drkit.yaml.
        servers: the URLs of the kubeconfig's API servers.
    """
    own = [
        each for each in found.get(SLICE, ()) if fields.text(each, "metadata", "labels", _SERVICE_LABEL) == _API_SERVICE
    ]
    seen = snapshot.from_objects(
        found.get(whole.NODE, ()),
        found.get(whole.POD, ()),
        found.get(whole.CLUSTER, ()),
        found.get(POOLER, ()),
        found.get(SERVICE, ()),
        own,
    )
    names = None if targets is None else tuple(sorted({each.target for each in targets}))
    return replace(seen, targets=names, health=tuple(health), servers=tuple(servers))


class Wholeness:
    """Whether a cluster is as whole as it was: what ``run.Parts.problems`` asks.

    Args:
        api: the cluster's.
        clock: the time.
        targets: how the load balancer finds its targets, where there is one that can be asked.
    """

    def __init__(self, api: Api, clock: Clock, targets: Callable[[], Iterable[TargetHealth]] | None = None) -> None:
        self._api, self._clock, self._targets = api, clock, targets
        self._expected: Objects = {}
        self._before: tuple[Problem, ...] = ()

    @property
    def before(self) -> tuple[Problem, ...]:
        """What was unwell when ``begin`` looked."""
        return self._before

    def begin(self, found: Objects) -> tuple[Problem, ...]:
        """Take the cluster as it is now for what it shall be again, and return what is unwell already.

        Args:
            found: as ``objects`` gives them.

        Raises:
            DrkitError: the load balancer cannot be asked.
        """
        self._expected = found
        self._before = whole.problems(found, self._clock.now(), targets=self._targets() if self._targets else ())
        return self._before

    def problems(self) -> list[str]:
        """What is not whole now and was before, in sentences. Raises nothing: an API that is away is a problem too."""
        try:
            found = objects(self._api, whole.KINDS)
            targets = self._targets() if self._targets else ()
            now = whole.problems(found, self._clock.now(), targets=targets, expected=self._expected)
        except DrkitError as error:
            return [error.message]
        return [str(each) for each in whole.blamed(now, self._before)]
