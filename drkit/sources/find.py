"""The sources that a configuration means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.config import secrets
from drkit.config.model import CnpgDatabase, DsnDatabase
from drkit.errors import ConfigurationError
from drkit.postgres.connection import parse
from drkit.sources.database import DatabaseSource
from drkit.sources.globals import GlobalsSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.config.model import Config
    from drkit.postgres.connection import Dsn
    from drkit.sources.port import Source


def sources(config: Config) -> tuple[Source, ...]:
    """All sources of a configuration: the cluster's own, its databases, and the roles of each server that they are on.

    What a cluster has is found out by asking it; where it does not answer, the sources that would have asked say so.

    Raises:
        ConfigurationError: a secret is not there, or something that a source needs is not configured.
    """
    databases = [_database(config, each) for each in config.databases if isinstance(each, DsnDatabase)]
    return (*_of_cluster(config), *databases, *_globals(databases))


def see_vaults(config: Config, chosen: Iterable[Source]) -> None:
    """See that there is a vault for each source.

    Raises:
        ConfigurationError: there is none for one of them.
    """
    for source in chosen:
        for vault in source.vaults:
            if vault not in config.vaults:
                raise ConfigurationError(
                    f"vaults: {vault} is missing, and {source.name} goes there",
                    f"add vaults: {{{vault}: {{url: …, passphrase: …}}}}",
                )


def _of_cluster(config: Config) -> tuple[Source, ...]:
    named = [each.cnpg for each in config.databases if isinstance(each, CnpgDatabase)]
    if named and config.cluster.kubeconfig is None:
        raise ConfigurationError(
            f"databases: {{cnpg: {named[0]}}} is found through the cluster's API, and cluster.kubeconfig is missing",
            "add cluster: {kubeconfig: …}",
        )
    if config.volumes and config.cluster.kubeconfig is None:
        raise ConfigurationError(
            "volumes: they are found through the cluster's API, and cluster.kubeconfig is missing",
            "add cluster: {kubeconfig: …}",
        )
    if config.cluster.kubeconfig is None and not config.cluster.servers:
        return ()
    from drkit.sources import cluster  # noqa: PLC0415 - who backs up databases alone does not wait for it

    return cluster.sources(config)


def _database(config: Config, database: DsnDatabase) -> DatabaseSource:
    dsn = dsn_of(database, "databases")
    content = config.proofs == "content"
    programs = tuple(config.postgresql.bin_dirs)
    return DatabaseSource(
        f"database/{database.name}", dsn, content, config.staging, programs, vaults=tuple(database.vaults)
    )


def dsn_of(database: DsnDatabase, section: str) -> Dsn:
    """The parsed connection string of a configured database.

    Raises:
        ConfigurationError: it cannot be read.
    """
    what = f"{section}.{database.name}.dsn"
    return parse(secrets.fetch(database.dsn, what), what)


def _globals(databases: Sequence[DatabaseSource]) -> list[GlobalsSource]:
    """One for each server; servers are told apart by how they are addressed."""
    servers: dict[tuple[str | None, ...], list[DatabaseSource]] = {}
    for database in databases:
        parameters = database.dsn.parameters
        address = tuple(parameters.get(key) for key in ("host", "hostaddr", "port", "service"))
        servers.setdefault(address, []).append(database)
    return [
        GlobalsSource(
            f"globals/{on[0].name.partition('/')[2]}",
            tuple(each.dsn for each in on),
            on[0].bin_dirs,
            vaults=tuple(dict.fromkeys(vault for each in on for vault in each.vaults)),
        )
        for on in servers.values()
    ]
