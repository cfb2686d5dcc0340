"""The shape of a scenario's file, as frozen values: nothing in it is of one cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, create_model, field_validator

from drkit.config.model import Model
from drkit.drill.scenario.kinds import KINDS, POD, Nothing, Options
from drkit.drill.scenario.quantities import Seconds, SomeSeconds
from drkit.drill.values import PATCHES_KEPT, PROBE_KINDS, SQL_WRITE

DATABASE = "drkit_drill"
"""The database that probes write to; no application has anything to do with it."""
MOST_PROBES = 20
MOST_FAULTS = 10
_HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_HOST}|\[[0-9A-Fa-f:.]+\]):([0-9]{{1,5}})")
_LARGEST_PORT = 65535


def _address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if match is None or not 1 <= int(match[3]) <= _LARGEST_PORT:
        raise ValueError("expected HOST:PORT, such as 198.51.100.7:443")
    return value


def web_address(value: str) -> str:
    """The same URL.

    Raises:
        ValueError: it is none that a probe may ask: what it names goes into records, so it holds no password.
    """
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("expected a URL such as https://docfast.example/health") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not value.isprintable() or " " in value:
        raise ValueError("expected a URL such as https://docfast.example/health")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected no user and no password in the URL: it is written into the drill's record")
    return value


def _own_database(value: str) -> str:
    if not re.fullmatch(r"drkit_[a-z0-9_]{1,57}", value):
        raise ValueError("expected a name that begins with drkit_: no probe writes to an application's database")
    return value


Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(web_address)]
Host = Annotated[str, Field(pattern=rf"^{_HOST}\.?$", max_length=253)]
ClusterName = Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[a-z0-9.-]+$", max_length=320)]
SuiteName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]


class Part(Model):
    """A part of a scenario; what stands below a field is what an editor shows of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Probe(Part):
    """What all probes have."""

    kind: str
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/:-]*$", max_length=100)
    """In reports; made from what it asks where it is left out."""
    every: Annotated[SomeSeconds, Field(ge=0.02)] = 0.2
    """Time from one question to the next, whatever became of the one before."""
    timeout: Annotated[SomeSeconds, Field(le=60)] = 2.0
    """Time after which a question has failed."""
    window: Seconds | None = None
    """How long it may fail; without one it is watched, and not judged."""
    session: bool = False
    """Whether one long-lived connection is asked beside the new ones."""


class HttpProbe(Probe):
    """A page that must answer: ``url``, or every address under ``health:`` of drkit.yaml."""

    kind: Literal["http"]
    url: Url | None = None
    """What is asked; every address under ``health:`` of drkit.yaml where it is left out."""
    address: Address | None = None
    """Where to connect, in place of what the URL's name leads to: one load balancer of several."""
    session: bool = True


class TcpProbe(Probe):
    """A port that must take connections."""

    kind: Literal["tcp"]
    address: Address


class SqlProbe(Probe):
    """What both probes of PostgreSQL have: which cluster of CloudNativePG (the only one), and by which way."""

    cluster: ClusterName | None = None
    session: bool = True
    via: Literal["spared", "hit"] = "spared"
    """Through which node it asks: one that is spared, as the outside does; or the one that is hit, as who is cut off
    together with it."""


class SqlReadProbe(SqlProbe):
    """A query that must be answered."""

    kind: Literal["sql-read"]
    database: str = Field(default=DATABASE, pattern=r"^[a-z_][a-z0-9_-]*$", max_length=63)
    through: Literal["pooler", "service", "replicas"] | None = None
    """``replicas`` is the service ``-ro``; without a word it is the pooler, and ``-rw`` where there is none."""


class SqlWriteProbe(SqlProbe):
    """A row that must be acknowledged, and stay; its database is drkit's own, and begins with ``drkit_``."""

    kind: Literal["sql-write"]
    database: Annotated[str, AfterValidator(_own_database)] = DATABASE
    through: Literal["pooler", "service"] | None = None


class KubeApiProbe(Probe):
    """``/readyz`` of the API.

    Of the kubeconfig's server, of ``each`` server, or of those that no fault of the scenario hits (``spared``).
    """

    kind: Literal["kube-api"]
    at: Literal["kubeconfig", "each", "spared"] = "kubeconfig"
    session: bool = True


class DnsProbe(Probe):
    """A name that the cluster's DNS service must resolve, over TCP."""

    kind: Literal["dns"]
    host: Host = "kubernetes.default.svc.cluster.local."


AnyProbe = Annotated[
    HttpProbe | TcpProbe | SqlReadProbe | SqlWriteProbe | KubeApiProbe | DnsProbe, Field(discriminator="kind")
]


class NodeSelector(Part):
    """Which node: the first by name of those that the word means and that can be hit.

    ``worker``: without the control plane; one that has no primary of PostgreSQL, where there is such a one.
    ``worker-with-primary``, ``with-primary``: the one that has it. ``control-plane``; ``etcd``: has a member of it.
    ``any``: servers before workers.
    """

    node: Literal["worker", "worker-with-primary", "with-primary", "control-plane", "etcd", "any"]
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=253)
    """No other than this one."""
    cluster: ClusterName | None = None
    """Whose primary; the only one's."""
    which: Literal["first", "each"] = "first"
    """``each``: one after the other; ``after`` then counts from the end of the one before."""
    of_at_least: int = Field(default=1, ge=1, le=99)
    """How many there must be that the word means: one of three servers is another matter than the only one."""


class PodSelector(Part):
    """Which pod: the first by name of those that the word means. ``any`` needs ``labels``."""

    pod: Literal["primary", "replica", "pooler", "coredns", "any"]
    namespace: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)
    labels: dict[str, str] = Field(default={}, validate_default=True)
    cluster: ClusterName | None = None
    """Whose primary, replica or pooler; the only one's."""
    which: Literal["first", "each", "all"] = "first"
    """``each``: one after the other, as with nodes; ``all``: at once."""
    of_at_least: int = Field(default=1, ge=1, le=99)

    @field_validator("labels")
    @classmethod
    def _says_which(cls, labels: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if info.data.get("pod") == "any" and not labels:
            raise ValueError("expected labels, such as {app: docfast}: any pod of the cluster is too many")
        return labels


Selector = NodeSelector | PodSelector


class Fault(Part):
    """One fault; the models of the kinds are made from this one, and say what ``on`` and ``options`` are."""

    fault: str
    on: Selector
    """Whom it hits."""
    after: Seconds = 0.0
    """Time since the injection of the one before; for the first one, since the end of the steady state."""
    lasts: SomeSeconds = 60.0
    """Time after which it is undone; where there is nothing to undo, how long one waits all the same."""
    options: Options = Nothing()
    """What else can be set of this kind."""


def _fault_model(kind: str) -> type[Fault]:
    found = KINDS[kind]
    fields: dict[str, Any] = {
        "fault": (Literal[kind], ...),
        "on": (PodSelector if found.hits == POD else NodeSelector, ...),
        "options": (found.options, found.options() if _can_be_left_out(found.options) else ...),
    }
    name = "".join(word.capitalize() for word in [*kind.split("-"), "fault"])
    return cast("type[Fault]", create_model(name, __base__=Fault, __doc__=found.does, **fields))


def _can_be_left_out(options: type[Options]) -> bool:
    try:
        options()
    except ValueError:
        return False
    return True


FAULTS: dict[str, type[Fault]] = {kind: _fault_model(kind) for kind in KINDS}
if TYPE_CHECKING:
    AnyFault = Fault
else:
    AnyFault = Annotated[Union[tuple(FAULTS.values())], Field(discriminator="fault")]  # noqa: UP007 - of as many as there are


class SteadyState(Part):
    """How long every probe has to succeed before the first fault."""

    seconds: SomeSeconds = Field(default=15.0, alias="for")


class Scenario(Part):
    """A scenario's file; its name is the file's, without ``.yaml``."""

    title: str = Field(min_length=1, max_length=100)
    why: str = Field(default="", max_length=2000)
    """The claim that it tests, in a sentence or a few."""
    suite: tuple[SuiteName, ...] = ()
    """The suites that it belongs to: `drkit drill run --suite nightly`."""
    steady: SteadyState = SteadyState()
    probes: list[AnyProbe] = Field(min_length=1, max_length=MOST_PROBES)
    """What is asked all the time, as users would."""
    faults: list[AnyFault] = Field(min_length=1, max_length=MOST_FAULTS)
    during: Literal["backup"] | None = None
    """What runs while the fault is there: `drkit backup`, which has to succeed in the end."""
    expect: tuple[Literal["promoted", "rescheduled"], ...] = ()
    """What has to happen."""
    hold: tuple[Literal["no acknowledged write lost", "one primary", "patches kept"], ...] = ()
    """What has to be so at the end; the patches are those of drkit.yaml that were in the cluster at the beginning."""
    needed: int = Field(default=5, ge=1, le=1000)
    """Successes in a row that end an outage."""
    settle: SomeSeconds = 300.0
    """Time that the cluster may take, after the last undo, until it is whole again."""
    lab_only: bool = False
    """Whether no real cluster may ever take it, whatever ``drills.allow`` says."""

    @field_validator("probes")
    @classmethod
    def _names_are_unique(cls, probes: list[AnyProbe]) -> list[AnyProbe]:
        names = [probe.name for probe in probes if probe.name]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"expected each name once; {', '.join(twice)} stands there twice")
        return probes

    @field_validator("hold")
    @classmethod
    def _can_be_told(cls, hold: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        probes = info.data.get("probes")
        if set(hold) - {PATCHES_KEPT} and probes is not None and SQL_WRITE not in {each.kind for each in probes}:
            raise ValueError("expected a probe of kind sql-write: without writes nobody can tell")
        return hold


TAGS = frozenset({*PROBE_KINDS, *KINDS})
"""What pydantic puts into an error's location beside the keys that stand in the file."""
