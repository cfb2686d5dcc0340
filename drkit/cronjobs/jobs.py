"""Which jobs a configuration asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drkit.config.model import DATABASES as DATABASES_VAULT
from drkit.config.model import CnpgDatabase, source_names
from drkit.cronjobs.shares import share_out
from drkit.errors import ConfigurationError
from drkit.schedule import jobs as scheduled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.config.model import Config, Database
    from drkit.schedule.timing import Times

COMPONENTS = ("databases", "external-databases", "everything", "prune", "verify", "verify-deep", "drills")
DATABASES, EXTERNAL, EVERYTHING, PRUNE, VERIFY, VERIFY_DEEP, DRILLS = COMPONENTS
"""Databases in the cluster's pods, those by connection string, all that there is; what backups need; what hurts."""
BACK_UP_DATABASES: Final = frozenset({DATABASES, EXTERNAL})
OF_VAULTS: Final = frozenset({PRUNE, VERIFY, VERIFY_DEEP})
"""They read the vaults, and nothing of the cluster."""
WITHOUT_API: Final = OF_VAULTS | {EXTERNAL}
_WHOLE: Final = {scheduled.PRUNE: PRUNE, scheduled.VERIFY: VERIFY, scheduled.VERIFY_DEEP: VERIFY_DEEP} | {
    scheduled.DRILLS: DRILLS
}
"""The component of each kind of job that is one CronJob. A rehearsal wants an engine for containers: no pod has one."""


@dataclass(frozen=True)
class Job:
    """One CronJob.

    Attributes:
        component: one of ``COMPONENTS``: what it does, and so what it may.
        namespace: where it runs.
        scheduled: the job of ``drkit schedule`` that it does, by its name.
        kind: of that one.
        times: when.
        limit: seconds that it may take.
        databases: for each of its pods those that it backs up; one pod, mostly.
        repositories: for each of its pods what its repository's name has behind that of the vault.
    """

    component: str
    namespace: str
    scheduled: str
    kind: str
    times: Times
    limit: float
    databases: tuple[tuple[Database, ...], ...]
    repositories: tuple[str, ...] = ("",)

    @property
    def name(self) -> str:
        """Of the CronJob, and of all that belongs to it."""
        return f"drkit-{self.component}"

    @property
    def named_clusters(self) -> tuple[CnpgDatabase, ...]:
        """The databases that are read in pods."""
        return tuple(each for share in self.databases for each in share if isinstance(each, CnpgDatabase))

    @property
    def is_shared(self) -> bool:
        """Whether several pods share its databases, and one more seals what they stored."""
        return len(self.databases) > 1

    @property
    def uses_api(self) -> bool:
        """Whether it asks the cluster's API for something."""
        return self.component not in WITHOUT_API


def jobs(config: Config, sizes: Mapping[str, int], before: Mapping[str, int]) -> tuple[Job, ...]:
    """The jobs of a configuration.

    Each namespace with databases has a job of its own, so that none reads two. Recovery points of several jobs in one
    repository would be thinned out as if each had everything, so each has its own repository where there are several.

    Args:
        config: has the times at its vaults.
        sizes: bytes of databases by their sources' names, where they are to be shared out.
        before: the share of each the last time.

    Raises:
        ConfigurationError: nothing has a time, a vault is where no pod reaches it, or databases are to be shared out
            that go to several vaults.
    """
    found: list[Job] = []
    for name, vault in config.vaults.items():
        if not vault.is_remote:
            raise ConfigurationError(
                f"vaults.{name}.url: a pod's files go with it; expected ssh://USER@HOST:PORT/./PATH",
                "render from a configuration whose vaults are elsewhere",
            )
    if config.cronjobs.shares > 1 and any(each.vaults != [DATABASES_VAULT] for each in config.databases):
        raise ConfigurationError(
            f"cronjobs.shares: databases that pods share out go to the vault {DATABASES_VAULT} alone",
            "leave out databases[].vaults, or shares",
        )
    for each in scheduled.jobs(config, Path()):
        own = (each.times, each.limit)
        if each.name == f"{scheduled.BACKUP}/databases":
            found += _database_jobs(config, each, sizes, before)
        elif each.kind == scheduled.BACKUP:
            databases = tuple(config.databases)
            found.append(Job(EVERYTHING, config.cronjobs.namespace, scheduled.BACKUP, each.kind, *own, (databases,)))
        elif each.kind in _WHOLE:
            component = _WHOLE[each.kind]
            databases = () if component in OF_VAULTS else tuple(config.databases)
            found.append(Job(component, config.cronjobs.namespace, each.name, each.kind, *own, (databases,)))
    if not any(each.kind == scheduled.BACKUP for each in found):
        raise ConfigurationError("vaults: no job has a time", 'say when: vaults: {cluster: {…, schedule: "0 3 * * *"}}')
    return tuple(sorted(found, key=lambda job: COMPONENTS.index(job.component)))


def used_vaults(config: Config, job: Job, databases: Iterable[Database]) -> tuple[str, ...]:
    """The vaults that a pod of a job reaches, by the databases that are its."""
    if job.component in OF_VAULTS:
        return tuple(config.vaults)
    if job.component not in BACK_UP_DATABASES:
        return tuple(name for name in config.vaults if name not in config.shares)
    named = {name for each in databases for name in each.vaults}
    return tuple(name for name in config.vaults if name in named)


def repositories(config: Config) -> tuple[str, ...]:
    """What the names of the vaults have behind ``databases`` that pods share the databases out to; mostly none."""
    if config.cronjobs.shares == 1 or "databases" not in config.vaults:
        return ()
    every = scheduled.one(config, Path(), f"{scheduled.BACKUP}/databases")
    found = [] if every is None else _database_jobs(config, every, {}, {})
    return tuple(behind for job in found if job.is_shared for behind in job.repositories)


def _database_jobs(config: Config, of: scheduled.Job, sizes: Mapping[str, int], before: Mapping[str, int]) -> list[Job]:
    grouped: dict[tuple[str, str], list[Database]] = {}
    for database in config.databases:
        own = (EXTERNAL, config.cronjobs.namespace)
        key = (DATABASES, database.cnpg.partition("/")[0]) if isinstance(database, CnpgDatabase) else own
        grouped.setdefault(key, []).append(database)
    made = []
    for (component, namespace), databases in sorted(grouped.items()):
        dealt = _dealt(databases, config.cronjobs.shares, sizes, before)
        behind = f"-{namespace if component == DATABASES else component}" if len(grouped) > 1 else ""
        repositories = tuple(f"{behind}-{index}" if len(dealt) > 1 else behind for index in range(len(dealt)))
        made.append(Job(component, namespace, of.name, of.kind, of.times, of.limit, dealt, repositories))
    return made


def _dealt(
    databases: list[Database], shares: int, sizes: Mapping[str, int], before: Mapping[str, int]
) -> tuple[tuple[Database, ...], ...]:
    """One tuple for each pod. A cluster whose databases are named is taken apart, else it stays whole."""
    if shares == 1:
        return (tuple(databases),)
    single: dict[str, Database] = {}
    for database in databases:
        if isinstance(database, CnpgDatabase) and database.databases is not None:
            for name in database.databases:
                one = database.model_copy(update={"databases": [name]})
                single[source_names(one)[0]] = one
        else:
            single[source_names(database)[0]] = database
    known = {name: _size(name, sizes) for name in single}
    dealt = share_out(known, min(shares, len(known)), before)  # a pod without databases would have nothing to do
    return tuple(_together([single[name] for name in share]) for share in dealt)


def _size(name: str, sizes: Mapping[str, int]) -> int:
    return sum(size for each, size in sizes.items() if each == name or each.startswith(f"{name}/"))


def _together(databases: list[Database]) -> tuple[Database, ...]:
    """The databases of one share, those of the same cluster as one entry again."""
    found: dict[str, Database] = {}
    for each in databases:
        key = each.cnpg if isinstance(each, CnpgDatabase) else each.name
        there = found.get(key)
        if isinstance(there, CnpgDatabase) and isinstance(each, CnpgDatabase):
            names = [*(there.databases or ()), *(each.databases or ())]
            found[key] = there.model_copy(update={"databases": sorted(names)})
        else:
            found[key] = each
    return tuple(found.values())
