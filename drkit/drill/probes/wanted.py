"""What the prober is told: each probe, and how its kind asks. Plain frozen values; some hold secrets.

They go to the prober as one JSON document through a pipe; nothing else may see them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.cluster.kubeconfig import Access, Credentials, Plugin
from drkit.drill import values
from drkit.drill.values import Probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


SHORTEST = 0.001
"""Seconds from one question to the next, and for its answer."""


@dataclass(frozen=True)
class Place:
    """Where to connect to.

    Attributes:
        host: an address, which keeps DNS out of it; or a name, which is looked up once, before the first question.
            Where it has several addresses (of one family), questions take turns.
        way: the name of a way through a node (``drkit.drill.probes.ways``), which is taken instead.
    """

    host: str
    port: int
    way: str = ""


@dataclass(frozen=True)
class Http:
    """``GET``.

    Attributes:
        url: ``http`` or ``https``; its host is the ``Host`` header, and the name that a certificate must have.
        connect: where else to connect to; the URL's own host and port where it is left out.
        authority: PEM of the certificate authority; empty where the machine's own list is meant.
        accept: the first and the last status that is as it should be. Redirections are not followed.
    """

    url: str
    connect: Place | None = None
    authority: str = ""
    accept: tuple[int, int] = (200, 399)


@dataclass(frozen=True)
class Tcp:
    """A connection, and where more is asked for, what is said over it.

    Without ``expect`` it is enough that the connection comes about: not over a way, whose near end always answers.

    Attributes:
        connect: where.
        say: what is sent, each time; text.
        expect: what has to come back, each time, or where nothing is sent, once: the greeting.
    """

    connect: Place
    say: str = ""
    expect: str = ""


@dataclass(frozen=True)
class Sql:
    """A PostgreSQL database; see ``drkit.drill.probes.ledger`` for what it has to hold.

    Attributes:
        dsn: a connection string.
        run: the drill's id, which rows carry.
        connect: where else to connect to; the connection string's host and port where it is left out.
    """

    dsn: str = field(repr=False)
    run: str
    connect: Place | None = None


@dataclass(frozen=True)
class KubeApi:
    """``GET /readyz``, as the user of a kubeconfig. The credentials in force at the start serve to the end.

    Attributes:
        access: what the kubeconfig says.
        connect: where else to connect to; the server's own host and port where it is left out.
    """

    access: Access
    connect: Place | None = None


@dataclass(frozen=True)
class Dns:
    """One question to one DNS server.

    Attributes:
        server: which; over a way it has to be asked over TCP.
        name: what is looked up.
        record: the type of the record.
        tcp: over TCP, not UDP.
    """

    server: Place
    name: str
    record: str = "A"
    tcp: bool = False


@dataclass(frozen=True)
class Control:
    """The prober's own parent, which answers over loopback: shows what is the fault of no target."""


How = Http | Tcp | Sql | KubeApi | Dns | Control

_HOW: Mapping[str, type[How]] = {
    values.HTTP: Http,
    values.TCP: Tcp,
    values.SQL_READ: Sql,
    values.SQL_WRITE: Sql,
    values.KUBE_API: KubeApi,
    values.DNS: Dns,
    values.CONTROL: Control,
}


@dataclass(frozen=True)
class Asking:
    """A probe, and how it asks: as its kind does."""

    probe: Probe
    how: How

    def __post_init__(self) -> None:
        """See that they fit.

        Raises:
            ValueError: they do not.
        """
        if not isinstance(self.how, _HOW.get(self.probe.kind, ())):
            raise ValueError(f"{self.probe.name}: a probe of kind {self.probe.kind} does not ask so")  # noqa: TRY004 - the pair is wrong, no type
        if self.probe.every < SHORTEST or self.probe.timeout < SHORTEST:
            raise ValueError(f"{self.probe.name}: every and timeout are at least {SHORTEST} seconds")
        place = self.how.connect if isinstance(self.how, Tcp) else None
        if place is not None and place.way and not self.how.expect:  # type: ignore[union-attr]
            raise ValueError(f"{self.probe.name}: a way's near end always answers: say what to expect behind it")
        if isinstance(self.how, Dns) and self.how.server.way and not self.how.tcp:
            raise ValueError(f"{self.probe.name}: a way takes no UDP: ask over TCP")


@dataclass(frozen=True)
class Order:
    """All that the prober is told at its start.

    Attributes:
        record: the record's path.
        start: what the machine's monotonic clock said at the record's begin.
        askings: what is asked.
        ways: where each way begins now; nothing of one that is broken.
        control: where the parent answers the control probe.
    """

    record: Path
    start: float
    askings: tuple[Asking, ...]
    ways: Mapping[str, tuple[str, int] | None] = field(default_factory=dict)
    control: tuple[str, int] = ("127.0.0.1", 0)

    def as_json(self) -> dict[str, Any]:
        """For the pipe; ``from_json`` is the inverse."""
        return {
            "record": str(self.record),
            "start": self.start,
            "askings": [{"probe": asdict(each.probe), "how": _to_json(each.how)} for each in self.askings],
            "ways": self.ways,
            "control": self.control,
        }


def from_json(data: Mapping[str, Any]) -> Order:
    """The inverse of ``Order.as_json``."""
    return Order(
        Path(data["record"]),
        data["start"],
        tuple(_asking(each) for each in data["askings"]),
        {name: None if where is None else _where(where) for name, where in data["ways"].items()},
        _where(data["control"]),
    )


def _asking(data: Mapping[str, Any]) -> Asking:
    probe = Probe(**data["probe"])
    kind, given = _HOW[probe.kind], dict(data["how"])
    for name in ("connect", "server"):
        if isinstance(given.get(name), dict):
            given[name] = Place(**given[name])
    if "accept" in given:
        given["accept"] = tuple(given["accept"])
    if "access" in given:
        given["access"] = _access(given["access"])
    return Asking(probe, kind(**given))


def _to_json(how: How) -> dict[str, Any]:
    made = asdict(how)
    if isinstance(how, KubeApi):
        made["access"] = _access_to_json(how.access)
    return made


def _access_to_json(access: Access) -> dict[str, Any]:
    known = access.credentials
    return {
        "server": access.server,
        "authority": access.authority.decode(errors="replace"),
        "server_name": access.server_name,
        "certificate": known.certificate.decode(errors="replace"),
        "key": known.key.decode(errors="replace"),
        "token": known.token,
        "token_file": None if known.token_file is None else str(known.token_file),
        "plugin": None
        if known.plugin is None
        else {each.name: getattr(known.plugin, each.name) for each in fields(Plugin)},
    }


def _access(data: Mapping[str, Any]) -> Access:
    plugin = data["plugin"]
    token_file = data["token_file"]
    return Access(
        data["server"],
        data["authority"].encode(),
        data["server_name"],
        Credentials(
            data["certificate"].encode(),
            data["key"].encode(),
            data["token"],
            None if token_file is None else Path(token_file),
            None if plugin is None else Plugin(**{**plugin, "argv": tuple(plugin["argv"])}),
        ),
    )


def _where(pair: Sequence[Any]) -> tuple[str, int]:
    host, port = pair
    return str(host), int(port)


def registered(order: Order) -> list[str]:
    """What of an order must be shown nowhere, beside what is in connection strings."""
    found = []
    for each in order.askings:
        if isinstance(each.how, KubeApi):
            known = each.how.access.credentials
            found += [known.token, known.key.decode(errors="replace")]
    return [each for each in found if each]
