"""The names that stand on the pages as examples, how each is told from words like it, and the user's own. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drkit.config.model import CnpgDatabase, Server
from drkit.config.patches import ObjectPatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.config.model import Config, Target
    from drkit.points.point import Point

_EDGE: Final = r"(?![\w-])"
_SYSTEM: Final = frozenset({"kube-system", "cnpg-system", "cert-manager"})
_HETZNER, _SSH = "hetzner", "ssh"


@dataclass(frozen=True)
class Example:
    """A name on the pages.

    Attributes:
        key: for what it stands.
        name: as it is written there.
        pattern: a regular expression that matches the name and nothing else; what is around it only looked at.
    """

    key: str
    name: str
    pattern: str


EXAMPLES: Final = (
    Example("new target", "new-cluster", rf"(?<![\w-])new-cluster{_EDGE}"),
    Example("spare server", "spare-1", rf"(?<=name: )spare-1{_EDGE}"),
    Example("spare agent", "spare-2", rf"(?<=name: )spare-2{_EDGE}"),
    Example("spare server's address", "10.0.0.7", r"(?<=address: )(?:198\.51\.100\.7|10\.0\.0\.7)(?![\d.])"),
    Example("spare agent's address", "10.0.0.8", r"(?<=address: )(?:198\.51\.100\.8|10\.0\.0\.8)(?![\d.])"),
    Example("spare target", "spare", rf"(?<=--to )spare{_EDGE}|(?<=^  )spare(?=:)|(?<=`)spare(?=`)"),
    Example("living target", "here", rf"(?<=--to )here{_EDGE}|(?<=^  )here(?=:)|(?<=`)here(?=`)"),
    Example("way in", "root@192.0.2.20", r"(?<=jump: )root@192\.0\.2\.20"),
    Example("pooler", "main-db-pooler", rf"(?<![\w-])main-db-pooler{_EDGE}"),
    Example("PostgreSQL cluster", "main-db", rf"(?<![\w-])main-db(?=-rw)|(?<![\w-])main-db{_EDGE}"),
    Example(
        "PostgreSQL's namespace",
        "postgres",
        rf"(?<=--namespace )postgres{_EDGE}|(?<=-n )postgres{_EDGE}|(?<=-rw\.)postgres{_EDGE}|"
        r"(?<![\w-])postgres(?=/main-db)",
    ),
    Example(
        "database",
        "docfast",
        r"(?<=datname = ')docfast|(?<=database )docfast|(?<=rename to )docfast(?=_)|(?<=main-db/)docfast",
    ),
    Example(
        "application's namespace",
        "docfast",
        r"(?<=--namespace )docfast|(?<=-n )docfast|(?<=manifests/)docfast|(?<==)docfast(?=-before)|"
        r"(?<=namespace )docfast(?=-before)",
    ),
    Example("application", "docfast", rf"(?<![\w/'-])docfast(?=-api)|(?<![\w/'-])docfast{_EDGE}"),
    Example("server", "k3s-mgr", rf"(?<![\w-])k3s-mgr{_EDGE}"),
    Example("server's address", "192.0.2.10", r"(?<![\d.])192\.0\.2\.10(?![\d.])"),
    Example("another server", "k3s-s1", rf"(?<![\w-])k3s-s1{_EDGE}"),
    Example("agent", "k3s-w1", rf"(?<![\w-])k3s-w1{_EDGE}"),
    Example("another agent", "k3s-w2", rf"(?<![\w-])k3s-w2{_EDGE}"),
    Example("load balancer", "k3s-lb", rf"(?<![\w-])k3s-lb{_EDGE}"),
    Example("recovery point", "$POINT", r"\"\$POINT\""),
    Example("time", "2026-03-01T04:00:00Z", r"2026-03-01T04:00:00Z"),
)
"""In the order in which they are looked for: of two that match at the same place the first one counts."""


def own_names(config: Config | None, point: Point | None) -> dict[str, str]:
    """The user's own names, by what they stand for, as far as they are known.

    Args:
        config: drkit.yaml, where it can be read.
        point: the newest recovery point, where a vault answers.
    """
    found: dict[str, str | None] = {}
    if config is not None:
        found |= _targets(config) | _machines(config) | dict(_patched(config))
        found |= dict(_databases(config))
    if point is not None:
        found |= {"recovery point": point.id, "time": f"{point.created:%Y-%m-%dT%H:%M:%SZ}"}
        found = {**dict(_sealed(point)), **{key: value for key, value in found.items() if value}}
    return {key: value for key, value in found.items() if value}


def _targets(config: Config) -> dict[str, str | None]:
    known = {_server_of(each)[0] for each in config.cluster.servers}
    known |= {_server_of(each)[1] for each in config.cluster.servers}
    living = [name for name, each in config.clusters.items() if _is_living(each, known)]
    others = {name: each for name, each in config.clusters.items() if name not in living}
    new = _first(others, (_HETZNER, "lab"), "new-cluster") or _first(others, (_SSH,), "")
    spare = _first({name: each for name, each in others.items() if name != new}, (_SSH,), "spare")
    found: dict[str, str | None] = {"new target": new, "spare target": spare, "living target": next(iter(living), None)}
    if spare is not None:
        target = config.clusters[spare]
        jump = target.ssh.jump or config.cluster.ssh.jump
        found["way in"] = jump
        for key, hosts in (("spare server", target.servers), ("spare agent", target.agents)):
            name, address = _server_of(hosts[0]) if hosts else ("", "")
            found |= {key: name, f"{key}'s address": address}
    return found


def _is_living(target: Target, known: set[str]) -> bool:
    names = [part for each in target.servers for part in _server_of(each)[-1:] if part]
    return target.provider == _SSH and bool(names) and set(names) <= known


def _first(targets: Mapping[str, Target], providers: Iterable[str], preferred: str) -> str | None:
    fitting = [name for name, each in targets.items() if each.provider in set(providers)]
    return preferred if preferred in fitting else next(iter(fitting), None)


def _machines(config: Config) -> dict[str, str | None]:
    made = [each for each in config.clusters.values() if each.provider != _SSH]
    servers = [_server_of(each) for each in config.cluster.servers]
    servers = servers or [_server_of(each) for target in made for each in target.servers]
    agents = [_server_of(each)[0] for target in made for each in target.agents]
    balancers = [each.load_balancer for each in config.clusters.values()]
    return {
        "server": servers[0][0] if servers else None,
        "server's address": servers[0][1] if servers else None,
        "another server": servers[min(1, len(servers) - 1)][0] if servers else None,
        "agent": agents[0] if agents else None,
        "another agent": agents[min(1, len(agents) - 1)] if agents else None,
        "load balancer": next(filter(None, balancers), None),
    }


def _server_of(server: str | Server) -> tuple[str, str]:
    """Name and address."""
    return (server, "") if isinstance(server, str) else (server.name, server.address or "")


def _databases(config: Config) -> Iterator[tuple[str, str]]:
    chosen = [each for each in config.databases if isinstance(each, CnpgDatabase)]
    chosen.sort(key=lambda each: each.cnpg != config.drills.database)  # where drills look is what matters most
    for each in chosen[:1]:
        namespace, _, name = each.cnpg.partition("/")
        yield "PostgreSQL's namespace", namespace
        yield "PostgreSQL cluster", name
        yield from (("database", name) for name in (each.databases or [])[:1])


def _patched(config: Config) -> Iterator[tuple[str, str]]:
    """What the declared patches tell: the first pooler, and the first Deployment that is none of the system's."""
    patches = [each for each in config.patches if isinstance(each, ObjectPatch)]
    for each in [each for each in patches if each.kind == "Pooler"][:1]:
        yield "pooler", each.metadata.name
    own = [each for each in patches if each.kind == "Deployment" and each.metadata.namespace not in _SYSTEM]
    for each in own[:1]:
        yield "application", each.metadata.name
        yield "application's namespace", each.metadata.namespace or ""


def _sealed(point: Point) -> Iterator[tuple[str, str]]:
    """The first database of a PostgreSQL cluster that the point has."""
    for source in point.stored_sources:
        parts = source.name.split("/")
        if parts[0] == "database" and len(parts) == 4:  # noqa: PLR2004 - database/NAMESPACE/CLUSTER/NAME
            yield from zip(("PostgreSQL's namespace", "PostgreSQL cluster", "database"), parts[1:], strict=True)
            return
