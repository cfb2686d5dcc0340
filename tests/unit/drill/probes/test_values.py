"""What the prober is told, and what it says: values on their way through a pipe, words for what fails."""

from __future__ import annotations

import base64
import errno
import itertools
import json
import ssl
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.cluster.kubeconfig import Access, Credentials, Plugin
from drkit.drill.probes import scram, wire
from drkit.drill.probes.doors import plain, said
from drkit.drill.probes.ledger import compacted
from drkit.drill.probes.port import Failed, OwnTrouble
from drkit.drill.probes.sql import understood
from drkit.drill.probes.wanted import (
    Asking,
    Control,
    Dns,
    Http,
    KubeApi,
    Order,
    Place,
    Sql,
    Tcp,
    from_json,
    registered,
)
from drkit.drill.values import Probe
from drkit.errors import ConfigurationError
from drkit.postgres.connection import parse

if TYPE_CHECKING:
    from drkit.drill.probes.wanted import How


def probe(kind: str) -> Probe:
    """One of this kind."""
    return Probe(f"a {kind}", kind, "somewhere", 0.2, 1.0, 15.0, session=True)


def test_an_order_comes_through_the_pipe_as_it_was() -> None:
    """Every way of asking survives JSON, with what proves who asks."""
    token = Access("https://192.0.2.1:6443", b"authority", "kube", Credentials(b"certificate", b"key", "token"))
    plugin = Access(
        "https://192.0.2.1:6443", b"", "", Credentials(plugin=Plugin(("/bin/who", "-x"), "client.…/v1", {"A": "b"}))
    )
    file = Access("https://192.0.2.1:6443", b"", "", Credentials(token_file=Path("/run/token")))
    hows: list[tuple[str, How]] = [
        ("http", Http("https://docfast.example/health", Place("192.0.2.1", 443), "authority", (200, 204))),
        ("http", Http("http://docfast.example")),
        ("tcp", Tcp(Place("", 0, "ssh"), expect="SSH-")),
        ("sql-read", Sql("postgresql://a:secret@h/d", "run", Place("", 0, "db"))),
        ("sql-write", Sql("postgresql://a:secret@h/d", "run")),
        ("kube-api", KubeApi(token, Place("", 0, "api"))),
        ("kube-api", KubeApi(plugin)),
        ("kube-api", KubeApi(file)),
        ("dns", Dns(Place("10.43.0.10", 53, "dns"), "kubernetes.default", tcp=True)),
        ("control", Control()),
    ]
    askings = tuple(Asking(probe(kind), how) for kind, how in hows)
    order = Order(Path("/tmp/record"), 12.5, askings, {"db": ("127.0.0.1", 7), "api": None}, ("127.0.0.1", 9))
    assert from_json(json.loads(json.dumps(order.as_json()))) == order
    assert registered(order) == ["token", "key"]
    assert "secret" not in repr(order)


def test_what_does_not_fit_is_refused() -> None:
    """A probe that asks as another kind does, or what a way cannot tell, is refused before anything is asked."""
    with pytest.raises(ValueError, match="does not ask so"):
        Asking(probe("tcp"), Control())
    with pytest.raises(ValueError, match="near end always answers"):
        Asking(probe("tcp"), Tcp(Place("", 0, "way")))
    with pytest.raises(ValueError, match="takes no UDP"):
        Asking(probe("dns"), Dns(Place("", 0, "way"), "a.example"))
    with pytest.raises(ValueError, match="at least"):
        Asking(Probe("p", "control", "", 0.0, 1.0, None), Control())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "reset by peer"), "reset"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route"),
        (TimeoutError(), "timeout"),
        (EOFError(), "closed"),
        (Failed("503"), "503"),
        (ssl.SSLError(1, "[SSL] wrong version number"), "TLS: [SSL] wrong version number"),
    ],
)
def test_what_failed_is_said_shortly(error: Exception, expected: str) -> None:
    """Every way to fail has its word."""
    assert said(error).startswith(expected)


def test_what_is_no_targets_fault_is_not_held_against_one() -> None:
    """A prober without descriptors or ports cannot say anything of a target, and says that."""
    for number in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
        with pytest.raises(OwnTrouble, match="own machine"):
            said(OSError(number, "none left"))


@given(st.text(max_size=2000))
def test_what_a_target_says_stays_one_short_line(text: str) -> None:
    """Whatever a target sends, the record holds a line of printable text."""
    shown = plain(text)
    assert len(shown) <= 80
    assert shown.isprintable()


def test_scram_is_that_of_its_standard() -> None:
    """The exchange of RFC 7677, section 3, byte for byte."""
    exchange = scram.Exchange("rOprNGfwEbeRWgbNEkqO")
    # There with the user's name, which PostgreSQL takes from elsewhere.
    exchange._bare = "n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert exchange.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = exchange.challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    keys = scram.keys("pencil", challenge.salt, challenge.rounds)
    assert exchange.final(challenge, keys) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    exchange.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    exchange.end()


@pytest.mark.parametrize(
    "said_first",
    [
        b"r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=mine-and-more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999",
        b"r=mine-and-more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        b"r=mine-and-more,i=4096",
        b"\xff",
        b"",
    ],
)
def test_a_server_that_is_none_learns_nothing(said_first: bytes) -> None:
    """A challenge that is not of the protocol, or would take hours, ends the exchange."""
    exchange = scram.Exchange("mine")
    exchange.first()
    with pytest.raises(ValueError, match=r"SCRAM|decode"):
        exchange.challenge(said_first)


def test_a_server_has_to_know_the_password_too() -> None:
    """A server that proves it wrongly, or not at all, is not believed."""
    exchange = scram.Exchange("mine")
    exchange.first()
    challenge = exchange.challenge(b"r=mine-more,s=" + base64.b64encode(b"salt") + b",i=1")
    exchange.final(challenge, scram.keys("password", challenge.salt, challenge.rounds))
    with pytest.raises(ValueError, match="does not know"):
        exchange.verify(b"v=" + base64.b64encode(b"0" * 32))
    with pytest.raises(ValueError, match="does not show"):
        exchange.end()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"SFEHLER\0VERROR\0C25006\0Mnur lesend\0\0", False),
        (b"SERROR\0VERROR\0C53100\0Mno space left\0\0", False),
        (b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0", True),
        (b"SPANIC\0VPANIC\0C53100\0Mcould not write\0\0", True),
        (b"SFATAL\0C08P01\0Mserver conn crashed?\0\0", True),
        (b"SERROR\0C08P01\0Mserver conn crashed?\0\0", True),
        (b"garbage\0\0", True),
    ],
)
def test_only_a_clear_refusal_of_a_write_is_a_failure(body: bytes, expected: bool) -> None:
    """A write was not done only by the word of a server that goes on; what poolers say of lost ones is unknown."""
    assert wire.undecided(wire.refusal(body)) is expected


@given(st.binary(max_size=60))
def test_any_row_is_read_or_refused(body: bytes) -> None:
    """What a server sends as a row is a row, or an error that a question can have."""
    try:
        found = wire.row(body)
    except struct.error:
        return
    assert isinstance(found, tuple)


def test_a_connection_string_is_understood_or_refused() -> None:
    """What a probe would silently not do is refused by name; what libpq has by default is the same here."""
    login, place = understood(parse("postgresql://app:word@main-db-rw.postgres:6432/docfast?hostaddr=192.0.2.4", "dsn"))
    assert (login.user, login.database, login.password) == ("app", "docfast", "word")
    assert login.server_name == "main-db-rw.postgres"
    assert (place.host, place.port) == ("192.0.2.4", 6432)
    assert login.context is not None
    assert not login.needs_tls
    assert understood(parse("host=a user=b sslmode=require", "dsn"))[0].needs_tls
    for strange in ("target_session_attrs=read-write", "channel_binding=require", "options='-c a=b'"):
        with pytest.raises(ConfigurationError, match=strange.partition("=")[0]):
            understood(parse(f"host=a user=b {strange}", "dsn"))
    for nowhere in ("host=a,b user=c", "host=/run/postgresql user=c", "user=c"):
        with pytest.raises(ConfigurationError):
            understood(parse(nowhere, "dsn"))


@given(st.lists(st.integers(0, 60)))
def test_ranges_hold_what_is_there(numbers: list[int]) -> None:
    """Ranges and repetitions together are the rows that were read, and no two ranges touch."""
    counted = [(number, numbers.count(number)) for number in sorted(set(numbers))]
    ranges, twice = compacted(counted)
    assert [number for first, last in ranges for number in range(first, last + 1)] == sorted(set(numbers))
    assert all(after[0] > before[1] + 1 for before, after in itertools.pairwise(ranges))
    assert twice == {str(number): count for number, count in counted if count > 1}
