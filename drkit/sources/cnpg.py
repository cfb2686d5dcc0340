"""Sources of CloudNativePG clusters: their databases and roles, read inside the pods of their instances."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.cluster import cnpg
from drkit.cluster.cnpg import PostgresCluster
from drkit.cluster.server import InPod
from drkit.config.model import DATABASES, CnpgDatabase
from drkit.errors import KubeRefused, SourceFailed, StartAgain
from drkit.postgres import roles
from drkit.postgres.session import StatementFailed
from drkit.sources.database import dumping
from drkit.sources.port import MemoryStream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from drkit.cluster.cnpg import Instance, Role
    from drkit.cluster.kube import Kube
    from drkit.config.model import Config
    from drkit.postgres.session import OwnSession
    from drkit.sources.database import DumpStream
    from drkit.sources.port import Source, SourceStream

_MAINTENANCE = "postgres"
_AT_ONCE = 4
_WATCH_SECONDS = 15.0
_FORBIDDEN = 403
_LOOKS = 50
"""How often a replica is asked whether it has caught up, a tenth of a second apart."""
# What a restore makes aside, and has not yet proven, is no source; nor is what the probes of a drill write to.
_DATABASES = r"""select datname from pg_catalog.pg_database
 where datallowconn and not datistemplate and datname !~ '^drkit_(unproven|drill)' order by 1"""


class ServerLeft(StartAgain):
    """The instance that was being read is not there any more, or not what it was: a failover, a deletion, a restart."""


@dataclass(frozen=True)
class CnpgDatabaseSource:
    """One database of a cluster."""

    name: str
    kube: Kube
    cluster: PostgresCluster
    database: str
    read_from: Role
    content_proofs: bool
    kind: str = "database"
    vaults: Sequence[str] = ("databases",)
    file_name: str = "database.dump"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Dump it; see ``drkit.postgres.dump``."""
        wanted = cnpg.instance(self.kube, self.cluster, self.read_from)
        with _reading(self.kube, wanted):
            instance = _caught_up(self.kube, wanted)
        server = InPod(self.kube, self.cluster.namespace, instance.pod, self.database)
        with _reading(self.kube, instance):
            context = dumping(server, content=self.content_proofs)
            stream = context.__enter__()
        over = threading.Event()
        threading.Thread(
            target=_watch, args=(self.kube, instance, stream, over), name=f"watch {instance.pod}", daemon=True
        ).start()
        try:
            yield _Stream(stream, self.kube, instance)
        finally:
            over.set()
            context.__exit__(None, None, None)


@dataclass(frozen=True)
class CnpgGlobalsSource:
    """The roles of a cluster."""

    name: str
    kube: Kube
    cluster: PostgresCluster
    kind: str = "globals"
    vaults: Sequence[str] = ("databases",)
    file_name: str = "globals.sql"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Dump them; see ``drkit.postgres.roles``."""
        instance = cnpg.instance(self.kube, self.cluster, "primary")
        with _reading(self.kube, instance):
            found = InPod(self.kube, self.cluster.namespace, instance.pod, _MAINTENANCE).globals()
        details = {"passwords": found.passwords, "digest": roles.digest(found.sql)}
        with MemoryStream(found.sql, details) as stream:
            yield stream


@dataclass(frozen=True)
class FailedSource:
    """What was to be read and cannot be found, so that its absence is said under its name."""

    name: str
    cluster: PostgresCluster | None
    """Whose it is; nothing where no cluster could be asked for."""
    error: SourceFailed
    kind: str = "database"
    vaults: Sequence[str] = ("databases",)
    file_name: str = "database.dump"

    def open(self) -> AbstractContextManager[SourceStream]:
        """Raise why."""
        raise self.error


@dataclass(frozen=True)
class _Stream:
    """A dump that is whole only if its server was the same to its end."""

    running: SourceStream
    kube: Kube
    instance: Instance

    def fileno(self) -> int:
        return self.running.fileno()

    def finish(self) -> None:
        with _reading(self.kube, self.instance):
            self.running.finish()
        # A primary that was cut off from its cluster answers on, without what has been written elsewhere since.
        if not cnpg.is_still(self.kube, self.instance):
            raise _left(self.instance)

    def details(self) -> dict[str, Any]:
        found = self.running.details()
        return {**found, "instance": {"pod": self.instance.pod, "role": self.instance.role}}


def _watch(kube: Kube, instance: Instance, running: DumpStream, over: threading.Event) -> None:
    """Cut a dump off whose server has been replaced: a node that lost its power never ends a connection."""
    while not over.wait(_WATCH_SECONDS):
        with suppress(SourceFailed):  # an API that does not answer just now says nothing of the server
            if not cnpg.is_still(kube, instance):
                running.cut()
                return


def _left(instance: Instance) -> ServerLeft:
    return ServerLeft(f"{instance.pod}, the {instance.role} that was read, has been replaced or restarted")


@contextmanager
def _reading(kube: Kube, instance: Instance) -> Iterator[None]:
    """Tell a source that failed from one whose server went away under it.

    Raises:
        ServerLeft: the latter; worth another attempt.
    """
    try:
        yield
    except StartAgain:
        raise
    except SourceFailed as error:
        try:
            gone = cnpg.says_that_it_left(error.message) or not cnpg.is_still(kube, instance)
        except SourceFailed:  # who cannot be asked has said nothing: the first error is the one to show
            raise error from None
        if gone:
            raise _left(instance) from error
        raise


def _caught_up(kube: Kube, instance: Instance) -> Instance:
    """The replica, once it has all that the primary had when the backup began; the primary where it lags behind."""
    if instance.role == "primary":
        return instance
    primary = cnpg.instance(kube, instance.cluster, "primary")
    try:
        with _session(kube, primary) as there, _session(kube, instance) as here:
            position = there.execute("select pg_catalog.pg_current_wal_lsn()::text").fetchone()
            assert position is not None  # noqa: S101 - a function call has one row
            for _ in range(_LOOKS):
                reached = here.execute(
                    f"select pg_catalog.pg_last_wal_replay_lsn() >= '{position[0]}', pg_catalog.pg_sleep(0.1)"
                ).fetchone()
                if reached and reached[0]:
                    return instance
    except StatementFailed:
        return primary
    return primary


@contextmanager
def _session(kube: Kube, instance: Instance, database: str = _MAINTENANCE) -> Iterator[OwnSession]:
    session = InPod(kube, instance.cluster.namespace, instance.pod, database).connect()
    try:
        yield session
    finally:
        session.close()


def databases(kube: Kube, cluster: PostgresCluster) -> list[str]:
    """The names of a cluster's databases, templates apart.

    Raises:
        SourceFailed: it cannot be asked.
    """
    instance = cnpg.instance(kube, cluster, "primary")
    try:
        with _session(kube, instance) as session:
            return [str(name) for (name,) in session.execute(_DATABASES)]
    except StatementFailed as error:
        raise SourceFailed(f"{cluster}: {error}") from None


def sources(config: Config, kube: Kube) -> list[Source]:
    """Every database of every cluster that the API knows, refined by the configuration's entries, and the roles.

    Who may not list the clusters of all namespaces has those that the configuration names, as a job with rights in one.
    What cannot be asked is a source that fails by its name.
    """
    entries = {_cluster(each): each for each in config.databases if isinstance(each, CnpgDatabase)}
    try:
        found = _listed(kube, entries)
    except SourceFailed as error:
        named: list[Source] = [
            FailedSource(f"database/{cluster}", cluster, error, vaults=_vaults(entry))
            for cluster, entry in entries.items()
        ]
        # Without a vault for databases nobody expects any; `manifests` says what is wrong with the API.
        return named or ([FailedSource("database", None, error)] if DATABASES in config.vaults else [])
    wanted = sorted({*found, *entries})
    content = config.proofs == "content"

    def of(cluster: PostgresCluster) -> list[Source]:
        return _of_cluster(kube, cluster, entries.get(cluster), content=content)

    with ThreadPoolExecutor(_AT_ONCE, "find databases") as pool:
        return [source for each in pool.map(of, wanted) for source in each]


def _listed(kube: Kube, entries: Collection[PostgresCluster]) -> list[PostgresCluster]:
    try:
        return cnpg.clusters(kube)
    except KubeRefused as error:
        if error.status == _FORBIDDEN and entries:
            return []
        raise


def _cluster(entry: CnpgDatabase) -> PostgresCluster:
    namespace, _, name = entry.cnpg.partition("/")
    return PostgresCluster(namespace, name)


def _of_cluster(kube: Kube, cluster: PostgresCluster, entry: CnpgDatabase | None, *, content: bool) -> list[Source]:
    try:
        there = databases(kube, cluster)
    except SourceFailed as error:
        return [FailedSource(f"database/{cluster}", cluster, error, vaults=_vaults(entry))]
    named = there if entry is None or entry.databases is None else entry.databases
    read_from: Role = "primary" if entry is None else entry.read_from
    vaults = _vaults(entry)
    found: list[Source] = [
        CnpgDatabaseSource(f"database/{cluster}/{name}", kube, cluster, name, read_from, content, vaults=vaults)
        if name in there
        else FailedSource(
            f"database/{cluster}/{name}", cluster, SourceFailed(f"{cluster} has no database {name}"), vaults=vaults
        )
        for name in named
    ]
    return [*found, CnpgGlobalsSource(f"globals/{cluster}", kube, cluster, vaults=vaults)]


def _vaults(entry: CnpgDatabase | None) -> tuple[str, ...]:
    return (DATABASES,) if entry is None else tuple(entry.vaults)
