"""The shape of ``drkit.yaml``, as frozen values. Paths are as written; ``Config.resolve`` anchors them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from drkit.config.cron import Cron
from drkit.config.cronjobs import CronJobs
from drkit.config.patches import PATCH_TAGS, Patches
from drkit.config.schedule import Schedule
from drkit.config.times import DayHours, Seconds

CLUSTER, DATABASES = GROUPS = ("cluster", "databases")
"""What is backed up together, and the vaults that have its time."""


class Model(BaseModel):
    """A part of the configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(Model):
    """Where a secret is: exactly one of a file, an environment variable or a command that prints it."""

    file: Path | None = None
    env: str | None = None
    command: str | list[str] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(value is not None for value in (self.file, self.env, self.command)) != 1:
            raise ValueError("expected exactly one of {file: PATH}, {env: NAME} or {command: COMMAND}")
        return self


class Ssh(Model):
    """How a host is logged in to. What is left out is OpenSSH's own default."""

    user: str | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    jump: str | None = None


class VaultSsh(Model):
    """How a vault is logged in to; user, host and port stand in its address."""

    key: Path | None = None
    prune_key: Path | None = None
    """Of ``drkit prune`` alone: one with full access, where the box holds ``key`` to appending."""
    known_hosts: Path | None = None
    jump: str | None = None


class Server(Model):
    """A host where k3s runs, or shall run."""

    name: str
    address: str | None = None


VaultName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
Places = Annotated[list[VaultName], Field(min_length=1)]
"""The vaults that a source goes to: each gets an archive of its own, so that losing one is not losing the point."""


class Cluster(Model):
    """The cluster that is backed up."""

    name: str = Field(default="cluster", min_length=1, max_length=63)
    kubeconfig: Literal["ssh", "in-cluster"] | Path | None = None
    """Who reads the API; ``ssh`` for the administrator that a server knows, through SSH to it; ``in-cluster`` for the
    service account of the pod that drkit runs in."""
    ssh: Ssh = Ssh()
    servers: list[Server] = []
    token: Secret | None = None
    """Of the Hetzner Cloud project that the servers are in; reading is enough."""
    vaults: Places = [CLUSTER]
    """Of the cluster's own sources: datastore, files of servers, manifests, topology."""


class Keep(Model):
    """Retention: how many recovery points each rule keeps; the rules of ``borg prune``, in UTC."""

    hourly: int = Field(default=0, ge=0)
    daily: int = Field(default=7, ge=0)
    weekly: int = Field(default=4, ge=0)
    monthly: int = Field(default=0, ge=0)
    yearly: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not (self.hourly or self.daily or self.weekly or self.monthly or self.yearly):
            raise ValueError("expected at least one rule that keeps something, such as {daily: 7, weekly: 4}")
        return self


class VaultConfig(Model):
    """A Borg repository and how it is reached."""

    url: str
    passphrase: Secret
    key_file: Path | None = None
    """Borg's key, for a repository that does not hold it itself (made with ``--encryption keyfile…``)."""
    ssh: VaultSsh = VaultSsh()
    remote_path: str | None = None
    schedule: Cron | None = None
    keep: Keep = Keep()
    compression: str = Field(default="zstd,1", pattern=r"^(none|lz4|zlib(,\d+)?|lzma(,\d+)?|(auto,)?zstd(,\d+)?)$")
    lock_wait: float = Field(default=60, ge=0, le=7 * 86400)

    @field_validator("url")
    @classmethod
    def _reachable_form(cls, url: str) -> str:
        if "://" not in url:
            if not url or url.startswith("-") or "::" in url:
                raise ValueError("expected ssh://USER@HOST:PORT/./PATH or a local path")
            return url
        parts = urlsplit(url)
        try:
            _ = parts.port
        except ValueError:
            raise ValueError("expected a port from 1 to 65535") from None
        if parts.scheme != "ssh" or not parts.hostname or len(parts.path) <= 1 or "::" in parts.path:
            raise ValueError("expected ssh://USER@HOST:PORT/./PATH or a local path")
        if parts.password is not None:
            raise ValueError("expected no password in the address; log in with a key (ssh: {key: PATH})")
        if parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
            raise ValueError("expected a host and user name that do not begin with '-'")
        return url

    @property
    def is_remote(self) -> bool:
        """Whether SSH is needed to reach it."""
        return self.url.startswith("ssh://")


class CnpgDatabase(Model):
    """All databases of a CloudNativePG cluster, or the named ones."""

    cnpg: str = Field(pattern=r"^[^/]+/[^/]+$")
    databases: list[str] | None = None
    read_from: Literal["primary", "replica"] = "primary"
    vaults: Places = [DATABASES]


class DsnDatabase(Model):
    """One PostgreSQL database by its connection string; ``name`` is how recovery points call it."""

    name: str = Field(min_length=1, max_length=200)
    dsn: Secret
    vaults: Places = [DATABASES]


def source_names(database: Database) -> tuple[str, ...]:
    """How recovery points call it; a CloudNativePG cluster as a whole by the beginning of its databases' names."""
    if isinstance(database, DsnDatabase):
        return (f"database/{database.name}",)
    if database.databases is None:
        return (f"database/{database.cnpg}",)
    return tuple(f"database/{database.cnpg}/{each}" for each in database.databases)


def _database_shape(value: Any) -> str:
    is_cnpg = "cnpg" in value if isinstance(value, dict) else isinstance(value, CnpgDatabase)
    return "cnpg-database" if is_cnpg else "dsn-database"


Database = Annotated[
    Annotated[CnpgDatabase, Tag("cnpg-database")] | Annotated[DsnDatabase, Tag("dsn-database")],
    Discriminator(_database_shape),
]
UNION_TAGS = frozenset({"cnpg-database", "dsn-database"}) | PATCH_TAGS
"""What pydantic puts into an error's location beside the keys that stand in the file."""


class Volumes(Model):
    """Claims whose files are backed up: one, as ``namespace/name``, or those of a namespace, by their labels."""

    claim: str | None = Field(default=None, pattern=r"^[^/]+/[^/]+$")
    namespace: str | None = Field(default=None, min_length=1)
    labels: dict[str, str] = {}
    vaults: Places = [CLUSTER]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.claim is None) == (self.namespace is None) or (self.claim is not None and self.labels):
            raise ValueError("expected {claim: NAMESPACE/NAME}, or {namespace: NAME} with or without labels")
        return self


class Drills(Model):
    """Which drills a real cluster takes and when, and who has its machines' power."""

    allow: list[str] = []
    """Scenarios by name; a lab takes all."""
    watchdog: str | None = None
    """A host that undoes what befell another one, as ``cluster.ssh`` logs in to it: a dead host runs no timer."""
    hours: DayHours | None = None
    """When drills may begin."""
    backup_limit: Seconds | None = None
    """How old the newest verified recovery point may be; 26 hours where it is left out, and in a lab any age."""
    provider: Literal["hetzner", "lab"] | None = None
    """Who has the machines' power, and the load balancer."""
    token: Secret | None = None
    """Of the Hetzner Cloud project; one that may write."""
    address: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]*$")
    """Where pages are asked, instead of where their names lead: the load balancer's address, mostly."""
    database: str | None = Field(default=None, pattern=r"^[^/]+/[^/]+$")
    """The PostgreSQL cluster, ``namespace/name``, where probes read and write; the only one where it is left out."""
    cooldown: Seconds = 60.0
    """Between two drills of a suite."""
    k3s_binary: Path | None = None
    """The program that ``upgrade-k3s`` puts in place: the release that comes next, for the nodes' processor."""

    @model_validator(mode="after")
    def _token_of_a_provider(self) -> Self:
        if (self.provider == "hetzner") != (self.token is not None):
            raise ValueError("expected provider: hetzner and its token, or neither of them")
        return self


class Escrow(Model):
    """Who can open the escrow bundle: recipients of age, among which are public keys of SSH (``age(1)``, "-r")."""

    recipients: list[Annotated[str, Field(pattern=r"^(age1[0-9a-z]+|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( .*)?)$")]] = []


class Notify(Model):
    """Who is told what. Addresses are secrets: most of them hold a token."""

    urls: list[Secret] = []
    """Services, as Apprise addresses them: ``mailto://…``, ``ntfy://…``, ``slack://…``; see its documentation."""
    on: list[Literal["failure", "recovery", "missed"]] = ["failure", "recovery", "missed"]
    remind: Seconds = 86400.0
    """How often it is told again that something still fails."""
    ping: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9/-]*$")], Secret] = {}
    """Dead man's switches, as healthchecks.io has them: by a job's name, or its kind, an address of its own."""


class ServerFiles(Model):
    """Files of the servers beside k3s's own; ``extra`` are absolute paths, directories with all that they hold."""

    extra: list[Annotated[str, Field(pattern=r"^/[^\x00]+$")]] = []


class Health(Model):
    """An address that must answer after a restore and during drills."""

    url: str


class Alternative(Model):
    """What may be taken where a server type is sold out; what is left out stays as it is."""

    server_type: str | None = None
    location: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.server_type is None and self.location is None:
            raise ValueError("expected a server_type, a location, or both")
        return self


class DnsName(Model):
    """A name that leads to the cluster; ``command`` changes it, called with NAME TYPE VALUE… after its own words."""

    name: str = Field(min_length=1)
    command: list[str] = Field(min_length=1)


class Target(Model):
    """A cluster that a restore builds."""

    provider: Literal["hetzner", "ssh", "lab"] | None = None
    token: Secret | None = None
    location: str | None = None
    server_type: str | None = None
    image: str | None = None
    alternatives: list[Alternative] = []
    """Tried in this order where something is sold out; none may have another CPU architecture."""
    servers: list[str | Server] = []
    agents: list[str | Server] = []
    load_balancer: str | None = None
    network: str | None = None
    dns: list[str | DnsName] = []
    """Changed last. Names without a command are looked for in the provider's zones, else told for doing by hand."""
    ssh: Ssh = Ssh()
    databases: list[DsnDatabase] = []


class Postgresql(Model):
    """Where PostgreSQL's own programs are, where drkit does not find them by itself."""

    bin_dirs: list[Path] = []
    scratch_image: str = Field(default="postgres:{major}", pattern=r"^[A-Za-z0-9]\S*$")
    """For a scratch server where server programs are not here; ``{major}`` stands for PostgreSQL's version."""


class Config(Model):
    """The whole of ``drkit.yaml``."""

    cluster: Cluster = Cluster()
    vaults: dict[VaultName, VaultConfig] = Field(min_length=1)
    """``cluster`` and ``databases`` are where sources go that name none; the times of backups stand at these two."""
    signing_key: Secret = Secret(file=Path("signing.key"))
    trusted_keys: list[Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$")]] = []
    databases: list[Database] = []
    volumes: list[Volumes] = []
    server_files: ServerFiles = ServerFiles()
    sealing: Literal["now", "later", "together"] = "now"
    """In pods that share the databases out: what one stores is sealed ``later``, and the last seals it ``together``."""
    proofs: Literal["rows", "content"] = "rows"
    staging: Path | None = None
    postgresql: Postgresql = Postgresql()
    patches: Patches = []
    health: list[Health] = []
    drills: Drills = Drills()
    schedule: Schedule = Schedule()
    cronjobs: CronJobs = CronJobs()
    escrow: Escrow = Escrow()
    notify: Notify = Notify()
    clusters: dict[str, Target] = {}

    @property
    def shares(self) -> frozenset[str]:
        """The vaults that stand nowhere in the file: repositories of what pods share out (``cronjobs.shares``)."""
        return frozenset(name for name in self.vaults if self.cronjobs.shares > 1 and name.startswith("databases-"))

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [database.name for database in self.databases if isinstance(database, DsnDatabase)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"expected each database name once; {', '.join(twice)} stands there twice")
        return self

    @model_validator(mode="after")
    def _vaults_are_used(self) -> Self:
        """A vault that nothing goes to would look like a second copy, and be none."""
        if self.sealing == "together":
            return self  # what goes to each of them is the other pods' to say
        named = {*self._named(CLUSTER), *self._named(DATABASES)}
        if absent := sorted(named - set(self.vaults) - {CLUSTER, DATABASES}):
            raise ValueError(f"expected a vault {', '.join(absent)} under vaults, since a source names it")
        for name in sorted(set(self.vaults) - {CLUSTER, DATABASES}):
            if name not in named:
                raise ValueError(
                    f"expected a source that goes to vault {name}, as in cluster: {{vaults: [cluster, {name}]}}"
                )
            if self.vaults[name].schedule is not None:
                raise ValueError(
                    f"expected no schedule at vault {name}: a source goes to all its vaults at once, at the time that "
                    "stands at vaults.cluster or vaults.databases"
                )
        return self

    def vaults_of(self, group: str) -> tuple[str, ...]:
        """The configured vaults that a group's sources go to.

        Args:
            group: ``cluster`` or ``databases``, as ``drkit backup`` takes it.
        """
        return tuple(name for name in dict.fromkeys(self._named(group)) if name in self.vaults)

    def _named(self, group: str) -> list[str]:
        if group == CLUSTER:
            return [*self.cluster.vaults, *(name for each in self.volumes for name in each.vaults)]
        # Databases that are found by asking, and that no entry names, go to the first one.
        return [DATABASES, *(name for each in self.databases for name in each.vaults)]
