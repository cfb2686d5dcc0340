"""The ``drkit.yaml`` of a job's pod, and which secrets it needs beside it. Pure.

A pod has of the configuration only what its job needs. Secrets are files of a Secret that somebody makes; nothing of
them is rendered, and neither is where they are on the machine that renders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drkit.config.model import CLUSTER, DATABASES, CnpgDatabase
from drkit.cronjobs.jobs import BACK_UP_DATABASES, DRILLS, OF_VAULTS, PRUNE, used_vaults
from drkit.schedule import jobs as scheduled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.config.model import Config, Database, Ssh, VaultSsh
    from drkit.cronjobs.jobs import Job

SECRETS: Final = "/etc/drkit/secrets"
SETTINGS: Final = "/etc/drkit/config"
_HOST_KEYS: Final = "their host keys, as ssh-keyscan writes them; compare them first"
_LOCK_WAIT: Final = 3600.0
"""Jobs wait for each other's vaults: they are not in a hurry, and their limit ends them."""


@dataclass
class Needed:
    """The keys of a job's Secret, and what each of them is."""

    keys: dict[str, str] = field(default_factory=dict)

    def file(self, key: str, what: str) -> str:
        """Where a pod has it."""
        self.keys[key] = what
        return f"{SECRETS}/{key}"


def settings(config: Config, job: Job) -> tuple[tuple[dict[str, Any], ...], Mapping[str, str]]:
    """The documents, one for each of the job's pods, and the keys of its Secret with what they are."""
    needed = Needed()
    documents = tuple(
        _document(config, job, databases, behind, needed)
        for databases, behind in zip(job.databases, job.repositories, strict=True)
    )
    return (*documents, _sealing(config, job, needed)) if job.is_shared else documents, needed.keys


def _document(config: Config, job: Job, databases: tuple[Database, ...], behind: str, needed: Needed) -> dict[str, Any]:
    timed = DATABASES if job.component in BACK_UP_DATABASES else CLUSTER
    wanted = {*used_vaults(config, job, databases), *([timed] if job.kind == scheduled.BACKUP else [])}
    found: dict[str, Any] = {
        "cluster": _cluster(config, job, needed),
        "vaults": {name: _vault(config, job, name, behind, needed) for name in config.vaults if name in wanted},
        "signing_key": {"file": _signing_key(job, needed)},
        "schedule": _schedule(config, job),
    }
    if job.kind == scheduled.BACKUP:
        found["vaults"][timed]["schedule"] = job.times.cron
    if job.is_shared:
        found["sealing"] = "later"
    elif config.notify.urls or config.notify.ping:
        found["notify"] = _notify(config, job, needed)
    if config.trusted_keys:
        found["trusted_keys"] = list(config.trusted_keys)
    if databases:
        found["databases"] = [_database(each, needed) for each in databases]
    if config.proofs != "rows":
        found["proofs"] = config.proofs
    if job.component not in BACK_UP_DATABASES | OF_VAULTS and config.volumes:
        found["volumes"] = [each.model_dump(exclude_defaults=True) for each in config.volumes]
    if job.component not in BACK_UP_DATABASES | OF_VAULTS and config.server_files.extra:
        found["server_files"] = {"extra": list(config.server_files.extra)}
    if job.component == DRILLS:
        found |= _of_drills(config, needed)
    return found


def _sealing(config: Config, job: Job, needed: Needed) -> dict[str, Any]:
    """Of the pod that seals what the others stored: it knows their vaults, and tells how all of it went."""
    found: dict[str, Any] = {
        "cluster": {"name": config.cluster.name},
        "vaults": {
            # The whole's is not used, and has the time of the job.
            DATABASES: _vault(config, job, DATABASES, "", needed) | {"schedule": job.times.cron},
            **{f"{DATABASES}{behind}": _vault(config, job, DATABASES, behind, needed) for behind in job.repositories},
        },
        "signing_key": {"file": _signing_key(job, needed)},
        "schedule": _schedule(config, job),
        "databases": [_database(each, needed) for share in job.databases for each in share],
        "sealing": "together",
    }
    if config.trusted_keys:
        found["trusted_keys"] = list(config.trusted_keys)
    if config.notify.urls or config.notify.ping:
        found["notify"] = _notify(config, job, needed)
    return found


def _signing_key(job: Job, needed: Needed) -> str:
    """Where it is; who seals nothing has its public half alone, beside that place."""
    if job.component == PRUNE:
        return needed.file("signing.key.pub", "the public half, which is beside it").removesuffix(".pub")
    return needed.file("signing.key", "signing_key: Ed25519 in PEM; `drkit backup` made it")


def _schedule(config: Config, job: Job) -> dict[str, Any]:
    """The pod's one job, as its records and messages know it; a backup's time stands at its vault."""
    found: dict[str, Any] = {"time_zone": job.times.zone, "limit": job.limit}
    for key in ("prune", "verify", "verify_deep", "drills"):
        wanted = getattr(config.schedule, key)
        if job.scheduled == key.replace("_", "-"):
            found[key] = wanted.model_dump(exclude_none=True)
        elif key != "drills":
            found[key] = None  # it has a time where none is given
    return found


def _notify(config: Config, job: Job, needed: Needed) -> dict[str, Any]:
    """Who is told, as everywhere: each job knows by its own records what is news."""
    notify = config.notify
    found: dict[str, Any] = notify.model_dump(mode="json", exclude_defaults=True, exclude={"urls", "ping"})
    if notify.urls:
        numbers = range(len(notify.urls))
        found["urls"] = [
            {"file": needed.file(f"notify-url-{number}", f"notify.urls.{number}: a service")} for number in numbers
        ]
    mine = [name for name in notify.ping if name in (job.scheduled, job.kind)]
    if mine:
        found["ping"] = {
            name: {"file": needed.file(f"notify-ping-{_key(name)}", f"notify.ping.{name}: a dead man's switch")}
            for name in mine
        }
    return found


def _cluster(config: Config, job: Job, needed: Needed) -> dict[str, Any]:
    cluster = config.cluster
    found: dict[str, Any] = {"name": cluster.name}
    if job.uses_api:
        found["kubeconfig"] = "in-cluster"
    if job.component not in BACK_UP_DATABASES | OF_VAULTS and cluster.vaults != [CLUSTER]:
        found["vaults"] = list(cluster.vaults)
    if job.component in OF_VAULTS and not {CLUSTER, DATABASES}.issuperset(config.vaults):
        found["vaults"] = list(config.vaults)  # a vault that nothing goes to is refused, and sources do not matter here
    if job.component in BACK_UP_DATABASES | OF_VAULTS:
        return found
    found["ssh"] = _ssh("servers", cluster.ssh, needed, "the servers") | _given(cluster.ssh, "user", "port")
    if cluster.servers:
        found["servers"] = [_given(each, "name", "address") for each in cluster.servers]
    if cluster.token is not None:
        found["token"] = {"file": needed.file("hcloud-token", "cluster.token")}
    return found


def _vault(config: Config, job: Job, name: str, behind: str, needed: Needed) -> dict[str, Any]:
    vault, of = config.vaults[name], DATABASES if name in config.shares else name  # opened by the same
    passphrase = needed.file(f"{of}-passphrase", f"vaults.{of}.passphrase")
    found: dict[str, Any] = {
        "url": vault.url + behind,
        "passphrase": {"file": passphrase},
        "ssh": _of_box(of, vault.ssh, needed, prunes=job.component == PRUNE),
        "keep": vault.keep.model_dump(exclude_defaults=True) or vault.keep.model_dump(include={"daily", "weekly"}),
        "compression": vault.compression,
        "lock_wait": max(vault.lock_wait, _LOCK_WAIT),
    }
    return found | _given(vault, "remote_path")


def _of_box(of: str, ssh: VaultSsh, needed: Needed, *, prunes: bool) -> dict[str, Any]:
    """The key that may remove is the pod's alone that does."""
    if not prunes or ssh.prune_key is None:
        return _ssh(of, ssh, needed, "the box")
    key = needed.file(f"{of}-prune-key", "the private key that opens the box, and may remove what is there")
    hosts = needed.file(f"{of}-known-hosts", _HOST_KEYS)
    return {"key": key, "known_hosts": hosts} | _given(ssh, "jump")


def _ssh(of: str, ssh: Ssh | VaultSsh, needed: Needed, opens: str) -> dict[str, Any]:
    """OpenSSH's own defaults are in a home that a pod does not have: key and host keys are files in any case."""
    key = needed.file(f"{of}-ssh-key", f"the private key that opens {opens}")
    hosts = needed.file(f"{of}-known-hosts", _HOST_KEYS)
    return {"key": key, "known_hosts": hosts} | _given(ssh, "jump")


def _database(database: Database, needed: Needed) -> dict[str, Any]:
    if isinstance(database, CnpgDatabase):
        return database.model_dump(exclude_defaults=True)
    found: dict[str, Any] = {
        "name": database.name,
        "dsn": {"file": needed.file(f"dsn-{_key(database.name)}", f"databases: the dsn of {database.name}")},
    }
    return found if database.vaults == [DATABASES] else {**found, "vaults": list(database.vaults)}


def _key(name: str) -> str:
    """A name as a part of a Secret's key: letters, digits, ``-`` and ``.``; what else there is by its number."""
    return "".join(each if (each.isascii() and each.isalnum()) or each in "-." else f"_{ord(each):x}_" for each in name)


def _of_drills(config: Config, needed: Needed) -> dict[str, Any]:
    drills = config.drills.model_dump(mode="json", exclude_unset=True, exclude={"token", "hours"})
    if config.drills.hours is not None:
        drills["hours"] = str(config.drills.hours)
    if config.drills.token is not None:
        drills["token"] = {"file": needed.file("drills-token", "drills.token: it may write")}
    return {"drills": drills, "health": [{"url": each.url} for each in config.health]}


def _given(model: Any, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(model, name)) is not None}
