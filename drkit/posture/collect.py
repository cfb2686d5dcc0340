"""A snapshot of a live cluster. What cannot be found out is named with why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from drkit.cluster import cnpg
from drkit.cluster import fields as at
from drkit.cluster.server import InPod
from drkit.config import secrets
from drkit.config.model import DsnDatabase
from drkit.drill import history
from drkit.errors import ConfigurationError, DrkitError, KubeRefused, NoRepository, SourceFailed
from drkit.points import catalogue as catalogues
from drkit.posture import addons, facts, harden, kept
from drkit.posture.drift import FORBIDDEN
from drkit.posture.drilled import drilled
from drkit.posture.servers import with_servers
from drkit.posture.snapshot import (
    BACKUPS,
    BALANCER,
    DRILLS,
    INGRESSES,
    KINDS,
    NO_DRILL,
    PATCHES,
    PROVIDER,
    REPLICATION,
    SERVED,
    Certificate,
    Lag,
    Snapshot,
    kind_of,
)
from drkit.sources import cluster as clusters
from drkit.sources.find import dsn_of
from drkit.topology import hetzner, select
from drkit.topology import nodes as topology_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Api, Kube, Object
    from drkit.config.model import Config
    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor
    from drkit.points.signing import Verifier
    from drkit.vault.port import Vault

_POSTGRESQL: Final = 5432
_NOT_FOUND: Final = 404
_LAG: Final = """select application_name, coalesce(extract(epoch from replay_lag), 0)::float8 as seconds,
 coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn), 0)::int8 as size
 from pg_catalog.pg_stat_replication order by 1"""


def live(config: Config, now: datetime) -> Snapshot:
    """The cluster as it is, without what is known of its backups.

    Raises:
        ConfigurationError: there is no way to its API.
        SourceFailed: its API does not answer, or refuses to list.
    """
    api = clusters.connect(config.cluster)
    if api is None:
        raise ConfigurationError(
            "cluster.kubeconfig: the audit asks the cluster's API", "or judge a backup: --point ID"
        )
    snapshot = _with_drills(with_provider(objects(api, now), config), config.cluster.name)
    snapshot = with_servers(snapshot, config.cluster)
    return with_patches(_with_lag(_with_served(snapshot, api), api), api, config)


def with_patches(snapshot: Snapshot, api: HttpApi, config: Config) -> Snapshot:
    """The same, with what of the declared patches the cluster has lost; why not, where that cannot be tried."""
    try:
        found = (*harden.look(api, config.patches), *addons.look(config, api)) if config.patches else ()
    except DrkitError as error:
        return snapshot.without([PATCHES], error.message)
    if any(each.state == FORBIDDEN for each in found):
        return snapshot.without([PATCHES], "patches are tried by a dry run, and this account lacks the verb patch")
    return replace(snapshot, patches=found)


def objects(api: Api, now: datetime) -> Snapshot:
    """The cluster's objects, and nothing else.

    Raises:
        SourceFailed: the API does not answer, or refuses to list.
    """
    found: dict[str, tuple[Object, ...]] = {}
    for resource in api.discover().resources:
        kind = kind_of(resource)
        if kind in KINDS:
            found[kind] = tuple(each for page in api.pages(resource.path) for each in page["items"])
    return Snapshot(taken=now, listed=found, unknown={DRILLS: NO_DRILL})


def _with_drills(snapshot: Snapshot, cluster: str) -> Snapshot:
    """The same, with what the newest drill of each scenario measured."""
    found = tuple(each for verdict in history.newest_verdicts() for each in drilled(verdict, cluster))
    if not found:
        return snapshot
    known = {name: why for name, why in snapshot.unknown.items() if name != DRILLS}
    return replace(snapshot, drills=found, unknown=known)


def with_provider(snapshot: Snapshot, config: Config) -> Snapshot:
    """The same, with what of the provider's project belongs to the cluster; why not, where it cannot be asked."""
    token, key = config.cluster.token, "cluster.token"
    if token is None:
        token, key = config.drills.token, "drills.token"
    if token is None:
        return snapshot.without([PROVIDER, BALANCER], "no cluster.token: the provider was not asked")
    nodes = sorted((topology_nodes.from_api(node) for node in snapshot.of("nodes")), key=lambda each: str(each["name"]))
    try:
        project = hetzner.read(secrets.fetch(token, key), hetzner.endpoint())
    except SourceFailed as error:
        return snapshot.without([PROVIDER, BALANCER], error.message)
    around = select.belonging(project, {node["name"] for node in nodes}, topology_nodes.addresses(nodes))
    return replace(snapshot, topology={"format": 1, "nodes": nodes, "hetzner": around})


def _with_served(snapshot: Snapshot, api: Kube) -> Snapshot:
    """The same, with the certificates that ingresses name; of their Secrets nothing else is kept."""
    found: list[Certificate] = []
    for namespace, name in sorted(facts.secrets_of(snapshot.of(INGRESSES))):
        try:
            found += facts.served_by(
                api.get(f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets/{quote(name, safe='')}")
            )
        except KubeRefused as error:
            if error.status != _NOT_FOUND:  # an ingress may name one that is not there yet
                return snapshot.without([SERVED], error.message)
    return replace(snapshot, certificates=(*snapshot.certificates, *found))


def _with_lag(snapshot: Snapshot, api: Kube) -> Snapshot:
    found: list[Lag] = []
    problems = []
    for cluster in snapshot.of("clusters.postgresql.cnpg.io"):
        named = cnpg.PostgresCluster(at.namespace(cluster), at.name(cluster))
        try:
            found += _lags(api, named)
        except DrkitError as error:
            problems.append(f"{named}: {error.message}")
    snapshot = replace(snapshot, replication=tuple(found))
    return snapshot.without([REPLICATION], "; ".join(problems)) if problems else snapshot


def _lags(api: Kube, cluster: cnpg.PostgresCluster) -> list[Lag]:
    primary = cnpg.primary_now(api, cluster)
    if isinstance(primary, str):
        raise SourceFailed(primary)
    session = InPod(api, cluster.namespace, primary.pod, "postgres").connect()
    try:
        return [Lag(str(cluster), str(row[0]), float(row[1]), int(row[2])) for row in session.execute(_LAG)]
    finally:
        session.close()


def with_backups(snapshot: Snapshot, config: Config, vaults: Mapping[str, Vault], verifier: Verifier) -> Snapshot:
    """The same, with what the vaults hold; why not, where they do not answer."""
    try:
        catalogue = catalogues.read(config.cluster.name, vaults, verifier)
        newest = _newest(catalogue, vaults, verifier)
    except NoRepository:
        catalogue, newest = catalogues.Catalogue(), None
    except DrkitError as error:
        return snapshot.without([BACKUPS], error.message)
    # A vault that could not be read is none that is empty.
    if catalogue.problems:
        return snapshot.without([BACKUPS], "; ".join(each.message for each in catalogue.problems))
    known = kept.backups(config, catalogue, snapshot.taken, newest, _connections(config))
    return replace(snapshot, backups=known)


def _newest(catalogue: Catalogue, vaults: Mapping[str, Vault], verifier: Verifier) -> Descriptor | None:
    return catalogues.open_descriptor(catalogue.points[0], vaults, verifier) if catalogue.points else None


def _connections(config: Config) -> Iterable[tuple[str, str, int]]:
    for database in config.databases:
        if isinstance(database, DsnDatabase):
            try:
                parameters = dsn_of(database, "databases").parameters
            except DrkitError:
                continue  # a secret that cannot be read is the backup's own error
            port = parameters.get("port", "")
            yield database.name, parameters.get("host", ""), int(port) if port.isdigit() else _POSTGRESQL
