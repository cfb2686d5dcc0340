"""What a drill is expected to measure, by the settings of the cluster as they are now: what its record begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.clock import SystemClock
from drkit.posture import collect, servers
from drkit.posture.predict import for_drill
from drkit.posture.reading import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.cluster.kube import Api
    from drkit.cluster.node import Node
    from drkit.config.model import Cluster
    from drkit.drill.values import Drill
    from drkit.posture.settings import Check


def expected(
    api: Api, hosts: Iterable[Node], cluster: Cluster, drill: Drill, checks: Sequence[Check] = ()
) -> dict[str, Any]:
    """Predict the windows of a drill's probes, by their names: ``Begin.predicted``.

    Args:
        api: the cluster's.
        hosts: its servers, which say how k3s was told to be; one that does not is taken to have the defaults.
        cluster: as it is configured: the provider is asked for its load balancers where there is a token.
        drill: the drill.
        checks: those of load balancers that no provider tells of, such as the lab's.

    Raises:
        SourceFailed: the API does not answer, or refuses to list.
    """
    snapshot = collect.with_provider(collect.objects(api, SystemClock().now()), cluster)
    return for_drill(settings(servers.with_words(snapshot, hosts), checks), drill)
