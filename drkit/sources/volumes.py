"""Which volumes of the cluster no source covers, as its API tells now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cluster import volumes
from drkit.errors import SourceFailed
from drkit.sources.claim import ClaimSource
from drkit.sources.cnpg import CnpgDatabaseSource, FailedSource
from drkit.sources.manifests import ManifestsSource

if TYPE_CHECKING:
    from collections.abc import Collection

    from drkit.cluster.kube import Api, Object
    from drkit.cluster.volumes import Volume
    from drkit.sources.port import Source


def uncovered(sources: Collection[Source]) -> tuple[list[Volume], list[str]]:
    """The volumes, and what to warn of: that they could not be listed.

    Args:
        sources: all that the configuration means; where no API is among them, there are no volumes to speak of.
    """
    kube = next((each.api for each in sources if isinstance(each, ManifestsSource)), None)
    if kube is None:
        return [], []
    # A database that cannot be read this time is a source all the same, and its failure is said elsewhere.
    owners = [each.cluster for each in sources if isinstance(each, CnpgDatabaseSource | FailedSource)]
    covered = None if None in owners else {owner for owner in owners if owner is not None}
    backed_up = {each.claim for each in sources if isinstance(each, ClaimSource)}
    try:
        return volumes.uncovered(
            _all(kube, "/api/v1/persistentvolumes"),
            _all(kube, "/api/v1/persistentvolumeclaims"),
            _all(kube, "/api/v1/pods"),
            _all(kube, "/apis/apps/v1/statefulsets"),
            covered,
            backed_up,
        ), []
    except SourceFailed as error:
        return [], [f"which volumes no source covers is not known: {error.message}"]


def _all(kube: Api, path: str) -> list[Object]:
    return [each for page in kube.pages(path) for each in page["items"]]
