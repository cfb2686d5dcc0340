"""How each probe of a drill asks on its cluster: addresses, ways through spared nodes, credentials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit.cluster.reach import answers
from drkit.drill.database import ROLE
from drkit.drill.probes.wanted import Asking, Control, Dns, Http, KubeApi, Place, Sql, Tcp
from drkit.drill.values import CONTROL, DNS, HTTP, KUBE_API, SQL_READ, SQL_WRITE, TCP
from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.cluster.kubeconfig import Access
    from drkit.cluster.node import Node
    from drkit.drill.probes.wanted import How
    from drkit.drill.probes.ways import Ways
    from drkit.drill.values import Probe

HIT = "hit"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Known:
    """What is known of the cluster beside the drill.

    Attributes:
        run: the drill's id.
        access: who asks its API.
        entrance: where pages are asked, instead of where their names lead; empty where names lead there.
        passwords: of the role that probes write as, by cluster of PostgreSQL and database.
        spared: the nodes that no fault hits, through which ways may go; the best first.
        hit: the others.
    """

    run: str
    access: Access
    entrance: str
    passwords: Mapping[tuple[str, str], str]
    spared: Sequence[Node]
    hit: Sequence[Node] = ()


def askings(probes: Sequence[Probe], known: Known, ways: Ways) -> list[Asking]:
    """Every probe with how it asks; the ways that they need are opened.

    Raises:
        PreflightFailed: nothing leads there.
        NodeUnreachable: likewise.
    """
    return [Asking(probe, _how(probe, known, ways)) for probe in probes]


def _how(probe: Probe, known: Known, ways: Ways) -> How:
    options = probe.options
    if probe.kind == HTTP:
        return Http(options["url"], _page(options, known.entrance))
    if probe.kind == TCP:
        return Tcp(_place(options["address"]))
    if probe.kind in {SQL_READ, SQL_WRITE}:
        return _sql(probe, known, ways)
    if probe.kind == KUBE_API:
        return _api(options["server"], known, ways)
    if probe.kind == DNS:
        return Dns(_through(options["address"], known.spared, ways), options["host"], tcp=True)
    if probe.kind == CONTROL:
        return Control()
    raise TypeError(f"no probe of kind {probe.kind}")


def _page(options: Mapping[str, str], entrance: str) -> Place | None:
    if "address" in options:
        return _place(options["address"])
    if not entrance:
        return None
    parts = urlsplit(options["url"])
    return Place(entrance, parts.port or _PORTS[parts.scheme])


def _sql(probe: Probe, known: Known, ways: Ways) -> Sql:
    via = known.hit if probe.options["via"] == HIT else known.spared
    place = _through(probe.options["address"], via, ways)
    database = probe.options["database"]
    password = known.passwords[probe.options["cluster"], database]
    # Inside of the cluster's network PgBouncer and the operator's servers speak without TLS or with their own names.
    dsn = f"host={place.host} port={place.port} dbname={database} user={ROLE} password={password} sslmode=prefer"
    return Sql(dsn, known.run, place)


def _api(server: str, known: Known, ways: Ways) -> KubeApi:
    """At the address itself where it can be reached from here, else through a node."""
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if server == known.access.server:
        return KubeApi(known.access)
    # A server's certificate names the addresses that it is known by; the kubeconfig may know it by another one.
    access = replace(known.access, server=server)
    if answers(host, port):
        return KubeApi(access)
    return KubeApi(access, _through(f"{host}:{port}", known.spared, ways))


def _through(address: str, nodes: Sequence[Node], ways: Ways) -> Place:
    """By way of one of these nodes: what is at the address is not reached from outside."""
    place = _place(address)
    if not nodes:
        raise PreflightFailed(
            f"every node is hit by a fault: none is left to reach {address} through",
            "probe what the outside reaches, or hit fewer nodes",
        )
    way = f"{address} by {nodes[0].name}"
    if way not in ways.now:
        ways.open(way, nodes, place.host, place.port)
    return replace(place, way=way)


def _place(address: str) -> Place:
    host, _, port = address.rpartition(":")
    return Place(host.strip("[]"), int(port))
