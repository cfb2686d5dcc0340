"""``drkit check``: each thing that a backup or restore will need, tried for real and one by one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.config import secrets
from drkit.config.model import DsnDatabase
from drkit.errors import DrkitError, HostKeyError, NoRepository, PreflightFailed, SourceFailed, UsageError
from drkit.points import names, signing
from drkit.postgres import programs
from drkit.sources.find import dsn_of
from drkit.vault import hostkeys
from drkit.vault.borg import BorgVault, find_borg
from drkit.vault.configured import repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.config.model import Config, VaultConfig

_SELF_TEST_SECONDS = 60.0


@dataclass(frozen=True)
class Result:
    """One check: what was looked at, whether it is well, what it said."""

    what: str
    ok: bool
    said: str
    hint: str = ""
    exit_code: int = 0
    warning: bool = False
    """Whether it should be looked at, although backups and restores work."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def everything(config: Config, text: str) -> list[Result]:
    """All checks, in the order in which a backup needs things.

    Args:
        config: what ``drkit.yaml`` says.
        text: how it says it.
    """
    results = [_look("borg", _borg)]
    for vault_name, vault in config.vaults.items():
        results.append(_look(f"vault {vault_name}", partial(_vault, config, str(vault_name), vault)))
    results.append(_look("signing key", partial(_signing_key, config)))
    results += _cluster(config)
    for database in config.databases:
        if isinstance(database, DsnDatabase):
            results.append(_look(f"database {database.name}", partial(_database, config, database)))
    results.append(_escrow(config, text))
    return results


def _escrow(config: Config, text: str) -> Result:
    """What fails here fails above too, where it counts."""
    from drkit.keys.standing import stand  # noqa: PLC0415 - only the check wants all that it draws in

    try:
        found = stand(config, text)
    except DrkitError as error:
        return Result("escrow", ok=True, said=f"cannot be judged: {error.message}", hint=error.hint, warning=True)
    return Result("escrow", ok=True, said=found.said, hint=found.hint, warning=not found.ok)


def _cluster(config: Config) -> list[Result]:
    """The cluster's API, each of its machines, and its PostgreSQL clusters."""
    if config.cluster.kubeconfig is None and not config.cluster.servers:
        return []
    from drkit.cluster import check as clusters  # noqa: PLC0415 - who backs up databases alone does not wait for it

    try:
        looks = clusters.looks(config)
    except DrkitError as error:
        return [Result("cluster", ok=False, said=error.message, hint=error.hint, exit_code=error.exit_code)]
    return [_look(what, action) for what, action in looks]


def _look(what: str, action: Callable[[], str]) -> Result:
    try:
        return Result(what, ok=True, said=action())
    except DrkitError as error:
        return Result(what, ok=False, said=error.message, hint=error.hint, exit_code=error.exit_code)


def _borg() -> str:
    """Borg's own self-test runs here, where its tenth of a second does not matter."""
    done = process.run([find_borg(), "--version"], deadline=_SELF_TEST_SECONDS, env=process.clean_environment())
    if done.status != 0:
        raise PreflightFailed(f"borg does not work: {process.tail(done.stderr)}", "reinstall borgbackup")
    return done.stdout.decode().strip()


def _vault(config: Config, name: str, vault: VaultConfig) -> str:
    opened = BorgVault(name, repository(vault), secrets.fetch(vault.passphrase, f"vaults.{name}.passphrase"))
    try:
        archives = opened.archives()
    except NoRepository:
        return f"{vault.url}: reachable; no repository yet, the first backup makes it"
    cluster = names.slug(config.cluster.name)
    points = {
        parts.point
        for archive in archives
        if (parts := names.parse(archive.name)) and parts.cluster == cluster and parts.part == names.DESCRIPTOR
    }
    return f"{vault.url}: opened with the passphrase; {len(points)} recovery points"


def _signing_key(config: Config) -> str:
    pinned = signing.verifier(config).keys
    if not pinned:
        return "none yet, the first backup makes it"
    return f"pinned: {', '.join(sorted(pinned))}"


def _database(config: Config, database: DsnDatabase) -> str:
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    dsn = dsn_of(database, "databases")
    try:
        with dsn.connect() as connection:
            major = connection.info.server_version // 10000
    except psycopg.Error as error:
        raise SourceFailed(
            f"{dsn.shown}: {process.tail(str(error))}", "check the dsn, the server and its pg_hba.conf"
        ) from None
    program = programs.client("pg_dump", major, config.postgresql.bin_dirs)
    return f"{dsn.shown}: PostgreSQL {major}, dumped with {program}"


def accept(config: Config, fingerprint: str) -> list[str]:
    """Pin the host key with this fingerprint for every vault that offers it; returns the lines for known_hosts.

    Raises:
        HostKeyError: no vault offers it; nothing was changed.
    """
    remote = [vault for vault in config.vaults.values() if vault.is_remote]
    if not remote:
        raise UsageError("no vault is reached over SSH, so there is no host key to accept")
    accepted: list[str] = []
    refused: HostKeyError | None = None
    for vault in remote:
        try:
            accepted.append(hostkeys.accept(vault.url, vault.ssh, fingerprint).line)
        except HostKeyError as error:
            refused = error
    if not accepted and refused is not None:
        raise refused
    return accepted
