"""A cluster whose API can be told to fail, its topology, and a vault in memory: real runs without a lab."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit.backup.run import Run
from drkit.clock import SystemClock
from drkit.cluster.api import connect
from drkit.config.model import Config, Secret, VaultConfig
from drkit.observe.progress import PlainReporter
from drkit.points import catalogue
from drkit.points.signing import verifier
from drkit.sources.manifests import ManifestsSource
from drkit.sources.topology import TopologySource
from tests.contract.api_server import MemoryApi, memory_api
from tests.contract.memory_vault import MemoryVault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pytest

    from drkit.cluster.node import Node
    from drkit.points.descriptor import Descriptor
    from drkit.sources.port import Source


class ClusterSite:
    """A cluster and where it is backed up to."""

    def __init__(self, directory: Path, api: MemoryApi) -> None:
        self.api, self.vault = api, MemoryVault("cluster")
        settings = VaultConfig(url=str(directory / "vault"), passphrase=Secret(env="NOT_ASKED_FOR"))
        self.config = Config(vaults={"cluster": settings}, signing_key=Secret(file=directory / "signing.key"))

    def backup(self, *, topology: bool = False, hosts: Sequence[Node] = ()) -> Descriptor:
        """One run: the manifests, and the topology where that is asked for, with what these hosts say."""
        sources: list[Source] = [ManifestsSource(connect(self.api.access))]
        if topology:
            sources.append(TopologySource(connect(self.api.access), hosts, None))
        run = Run(self.config, {"cluster": self.vault}, SystemClock(), PlainReporter())
        return run.execute(sources).descriptor

    def points(self) -> catalogue.Catalogue:
        """What the vault holds."""
        return catalogue.read(self.config.cluster.name, {"cluster": self.vault}, verifier(self.config))


@contextmanager
def cluster_site(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterSite]:
    """Such a site, with state and cache of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(directory / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
    with memory_api() as api:
        yield ClusterSite(directory, api)
