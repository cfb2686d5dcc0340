"""One step of bringing a cluster's databases back, as a process of its own, so that it can be killed in its middle.

``python -m tests.lab.cnpg_steps CONFIG NAMESPACE/CLUSTER RESTORE STEP [DATABASE]``; ``again`` before the step says that
an earlier attempt began it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.cli.common import set_up
from drkit.cluster.cnpg import PostgresCluster
from drkit.observe.progress import PlainReporter
from drkit.points.catalogue import open_descriptor, read
from drkit.points.select import recovery_set
from drkit.restore import databases, remains, target
from drkit.restore.cnpg import cluster as clusters
from drkit.restore.cnpg.primary import InPrimary
from drkit.restore.databases import Origin
from drkit.restore.stream import feed
from drkit.restore.target import Place
from drkit.sources.cluster import connect

if TYPE_CHECKING:
    from drkit.cluster.api import HttpApi
    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Vault

PLAIN = ("create", "analyze", "prove", "publish", "put_back_properties")
JOBS = 2


class Steps:
    """The steps, for one cluster."""

    def __init__(self, config: Path, named: str, restore: str) -> None:
        setup = set_up(config)
        namespace, _, name = named.partition("/")
        self.cluster, self.restore, self.vaults = PostgresCluster(namespace, name), restore, setup.vaults
        kube = connect(setup.config.cluster)
        assert kube is not None
        self.kube: HttpApi = kube
        self.sources: dict[str, SourceEntry] = {}
        chosen = recovery_set(read(setup.config.cluster.name, setup.vaults, setup.verifier).points).chosen
        for each in chosen:
            whole = open_descriptor(each.point, setup.vaults, setup.verifier).sources
            self.sources |= {source.name: source for source in whole if source.name == each.source.name}

    def place(self, database: str) -> Place:
        """A database and its dump."""
        at = InPrimary(self.kube, self.cluster, database, remains.application(self.restore))
        return Place(at, self.sources[f"database/{self.cluster}/{database}"])

    def names(self) -> list[str]:
        """Its databases, but for the server's own."""
        prefix = f"database/{self.cluster}/"
        found = [name.removeprefix(prefix) for name in self.sources if name.startswith(prefix)]
        return [name for name in found if name != "postgres"]

    def prepare(self) -> Any:
        """Remove the old one."""
        details = {name: self.place(name).source.details for name in self.names()}
        return clusters.prepare(self.kube, self.cluster, details, self.restore)

    def make(self) -> Any:
        """Make the new one."""
        return clusters.make(self.kube, self.cluster, self.restore).pod

    def roles(self) -> Any:
        """Make the roles."""
        source = self.sources[f"globals/{self.cluster}"]
        blocks: list[bytes] = []
        feed(self._vault(source), source, blocks.append)
        at = InPrimary(self.kube, self.cluster, "postgres", remains.application(self.restore))
        return databases.make_roles(at, b"".join(blocks).decode(), None)

    def whole(self, database: str) -> Any:
        """Everything that concerns one database."""
        place = self.place(database)
        target.preflight(place, must_be_empty=True)
        said = databases.create(place)
        self.load(database, again=False)
        for step in (databases.analyze, databases.prove, databases.publish):
            step(place)
        return said + databases.put_back_properties(place)

    def load(self, database: str, *, again: bool) -> Any:
        """Load the dump."""
        place = self.place(database)
        with PlainReporter().task(f"loading {database}") as task:
            origin = Origin(self._vault(place.source), None, Path("/nonexistent"), task)
            databases.loading(place, origin, sessions=JOBS, resumed=again)

    def _vault(self, source: SourceEntry) -> Vault:
        return self.vaults[source.vault]


def main(arguments: list[str]) -> None:
    """Take one step, and print what it returned."""
    config, named, restore, *words = arguments
    again = words[0] == "again"
    step, *more = words[1:] if again else words
    steps = Steps(Path(config), named, restore)
    if step in PLAIN:
        said = getattr(databases, step)(steps.place(*more))
    elif step == "load":
        said = steps.load(*more, again=again)
    else:
        said = getattr(steps, step)(*more)
    print(json.dumps(said))  # noqa: T201 - for whoever started it


if __name__ == "__main__":
    main(sys.argv[1:])
