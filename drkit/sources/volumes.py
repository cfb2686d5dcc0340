"""Which volumes of the cluster no source covers, as its API tells now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cluster import volumes
from drkit.errors import SourceFailed
from drkit.sources import cluster as clusters
from drkit.sources.cnpg import CnpgDatabaseSource, FailedSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Api, Object
    from drkit.cluster.volumes import Volume
    from drkit.config.model import Config
    from drkit.sources.port import Source


def uncovered(config: Config, sources: Iterable[Source]) -> tuple[list[Volume], list[str]]:
    """The volumes, and what to warn of: that they could not be listed.

    Args:
        config: where no kubeconfig is, there are no volumes to speak of.
        sources: all that the configuration means.
    """
    kube = clusters.connect(config.cluster)
    if kube is None:
        return [], []
    # A database that cannot be read this time is a source all the same, and its failure is said elsewhere.
    owners = [each.cluster for each in sources if isinstance(each, CnpgDatabaseSource | FailedSource)]
    covered = None if None in owners else {owner for owner in owners if owner is not None}
    try:
        return volumes.uncovered(
            _all(kube, "/api/v1/persistentvolumes"),
            _all(kube, "/api/v1/persistentvolumeclaims"),
            _all(kube, "/api/v1/pods"),
            _all(kube, "/apis/apps/v1/statefulsets"),
            covered,
        ), []
    except SourceFailed as error:
        return [], [f"which volumes no source covers is not known: {error.message}"]


def _all(kube: Api, path: str) -> list[Object]:
    return [each for page in kube.pages(path) for each in page["items"]]
