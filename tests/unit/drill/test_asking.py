"""How the probes of a drill ask on their cluster."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from drkit.cluster.kubeconfig import Access, Credentials
from drkit.drill.asking import Known, askings
from drkit.drill.database import verifier
from drkit.drill.probes.wanted import Control, Dns, Http, KubeApi, Place, Sql, Tcp
from drkit.drill.probes.ways import Ways
from drkit.drill.stand_ins import stand_ins
from drkit.drill.values import CONTROL_PROBE, Probe
from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.node import Node

ACCESS = Access("https://192.0.2.10:6443", b"", "", Credentials(token="secret"))
SQL = {
    "cluster": "postgres/main-db",
    "service": "postgres/main-db-rw",
    "address": "10.43.7.7:5432",
    "database": "drkit_drill",
    "via": "spared",
}


class Gate:
    """A node whose forwards begin at a port that tells them apart."""

    def __init__(self, name: str) -> None:
        self.name = name

    @contextmanager
    def forward(self, host: str, port: int) -> Iterator[tuple[str, int]]:  # noqa: ARG002 - where it leads matters not
        """A way."""
        yield "127.0.0.1", 40_000 + port


def known(*, entrance: str = "", spared: tuple[str, ...] = ("w2",), hit: tuple[str, ...] = ("w1",)) -> Known:
    """A cluster of two nodes, one of them hit."""
    gates = [[cast("Node", Gate(name)) for name in names] for names in (spared, hit)]
    passwords = {("postgres/main-db", "drkit_drill"): "p4ssw0rd"}
    return Known("run", ACCESS, entrance, passwords, *gates)


def probe(kind: str, **options: str) -> Probe:
    """A probe of a kind."""
    return Probe(f"{kind}/x", kind, "somewhere", 0.2, 2.0, 10.0, options=options)


def how(one: Probe, where: Known, ways: Ways | None = None) -> Any:
    """How it asks."""
    return askings([one], where, ways or Ways())[0].how


def test_pages_are_asked_where_the_entrance_is() -> None:
    """The configured address takes the place of where a name leads, and a probe's own address that of both."""
    page = probe("http", url="http://docfast.example/health")
    assert how(page, known()) == Http("http://docfast.example/health", None)
    assert how(page, known(entrance="10.0.0.4")).connect == Place("10.0.0.4", 80)
    secure = probe("http", url="https://docfast.example/health")
    assert how(secure, known(entrance="10.0.0.4")).connect == Place("10.0.0.4", 443)
    own = probe("http", url="https://docfast.example/", address="[2001:db8::1]:8443")
    assert how(own, known(entrance="10.0.0.4")).connect == Place("2001:db8::1", 8443)


def test_what_the_outside_does_not_reach_is_asked_through_a_spared_node() -> None:
    """PostgreSQL and DNS go through one way each, which all probes of the same address share."""
    ways = Ways()
    read, write = probe("sql-read", **SQL), probe("sql-write", **SQL)
    names = probe("dns", service="kube-system/kube-dns", address="10.43.0.10:53", host="kubernetes.default")
    made: list[Any] = [each.how for each in askings([read, write, names], known(), ways)]
    assert [type(each) for each in made] == [Sql, Sql, Dns]
    assert set(ways.now) == {"10.43.7.7:5432 by w2", "10.43.0.10:53 by w2"}
    assert made[0].connect == Place("10.43.7.7", 5432, "10.43.7.7:5432 by w2")
    assert made[2].tcp


def test_clients_beside_the_node_that_is_hit_go_through_it() -> None:
    """What is cut off together with a database asks it by the same node."""
    assert how(probe("sql-write", **{**SQL, "via": "hit"}), known()).connect.way == "10.43.7.7:5432 by w1"


def test_without_a_spared_node_nothing_is_asked_through_one() -> None:
    """A fault that hits every node leaves none for the probes, and that is said before anything is done."""
    with pytest.raises(PreflightFailed, match="every node is hit"):
        how(probe("sql-read", **SQL), known(spared=()))


def test_the_api_is_asked_where_the_kubeconfig_says() -> None:
    """The kubeconfig's own server needs no way."""
    ways = Ways()
    assert how(probe("kube-api", server=ACCESS.server), known(), ways) == KubeApi(ACCESS)
    assert not ways.now


def test_ports_and_the_prober_itself() -> None:
    """A port is asked at its address; the control probe asks this machine."""
    assert how(probe("tcp", address="192.0.2.7:25"), known()) == Tcp(Place("192.0.2.7", 25))
    assert how(CONTROL_PROBE, known()) == Control()


def test_a_password_is_proven_by_what_the_server_keeps() -> None:
    """RFC 7677's example: the signature that a server makes with what ``verifier`` gives it is the RFC's."""
    kept = verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    stored, server = (base64.b64decode(each) for each in kept.rpartition("$")[2].split(":"))
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    said = (f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}").encode()
    signature = hmac.digest(server, said, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    key = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, said, "sha256"), strict=True))
    assert hashlib.sha256(key).digest() == stored


def test_stand_ins_are_known_by_what_they_say() -> None:
    """Whoever says so in a name or a label is named; a real operator is not."""

    def thing(name: str, **labels: str) -> dict[str, Any]:
        return {"metadata": {"namespace": "kube-system", "name": name, "labels": labels}}

    found = {
        "Deployment": [thing("cnpg-stand-in-controller-manager"), thing("coredns")],
        "DaemonSet": [thing("ingress", app="ingress-stand-in")],
    }
    assert stand_ins(found) == ("kube-system/cnpg-stand-in-controller-manager", "kube-system/ingress")
