"""What a drill is expected to measure, by the settings of the cluster as they are now: what its record begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.clock import SystemClock
from drkit.posture import collect, lab, servers
from drkit.posture.predict import for_drill
from drkit.posture.reading import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Api
    from drkit.cluster.node import Node
    from drkit.config.model import Config
    from drkit.drill.values import Drill


def expected(api: Api, hosts: Iterable[Node], config: Config, drill: Drill) -> dict[str, Any]:
    """Predict the windows of a drill's probes, by their names: ``Begin.predicted``.

    Args:
        api: the cluster's.
        hosts: its servers, which say how k3s was told to be; one that does not is taken to have the defaults.
        config: who has the load balancer, a provider or a lab.
        drill: the drill.

    Raises:
        SourceFailed: the API does not answer, or refuses to list.
        PreflightFailed: the lab's load balancer cannot be asked.
    """
    snapshot = collect.with_provider(collect.objects(api, SystemClock().now()), config)
    return for_drill(settings(servers.with_words(snapshot, hosts), lab.checks(config)), drill)
