"""One suite for all kinds of probes: each on a target of its own, over new connections and over a long-lived one."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pytest

from drkit.cluster.kubeconfig import Access, Credentials
from drkit.drill.probes.dns import DnsKind
from drkit.drill.probes.doors import Ways
from drkit.drill.probes.http import HttpKind
from drkit.drill.probes.kube_api import kube_api
from drkit.drill.probes.sql_read import sql_read
from drkit.drill.probes.sql_write import sql_write
from drkit.drill.probes.tcp import TcpKind, control
from drkit.drill.probes.wanted import Dns, Http, KubeApi, Place, Sql, Tcp
from drkit.drill.record import FAILED, OK, UNKNOWN
from drkit.lab.workload.certificate import self_signed
from tests.unit.drill.probes import targets
from tests.unit.drill.probes.asking import TIMEOUT, asked
from tests.unit.drill.probes.targets import ERROR, HALF, SILENT, DnsOverUdp, Target

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.drill.probes.port import Kind

WAYS = Ways({}, lambda _: None)
NAME = "target.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    """A certificate for ``NAME``, as PEM, and a server's settings with it."""
    made, key = self_signed([NAME])
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_text(made + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return made, context


class KindSuite(ABC):
    """What every kind does. A subclass says which it is, and how its error answer is told."""

    error: str
    in_the_middle = FAILED
    authority: str
    context: ssl.SSLContext

    @pytest.fixture(autouse=True)
    def _certificate(self, certificate: tuple[str, ssl.SSLContext]) -> None:
        self.authority, self.context = certificate

    @abstractmethod
    def target(self) -> Target | DnsOverUdp:
        """What is asked."""

    @abstractmethod
    def kind(self, port: int) -> Kind:
        """How it is asked."""

    def test_an_answer_is_a_success(self, tmp_path: Path) -> None:
        """A target that answers is ok, over new connections and over one that is kept."""

        async def scenario() -> None:
            async with self.target() as target:
                async with asked(tmp_path / "record", {"p": self.kind(target.port)}, timeout=20.0) as asking:
                    await asking.next(OK, 5)
                for each in asking.answers():
                    assert (each.outcome, each.said) == (OK, "")
                    assert each.due <= each.sent <= each.at
                if isinstance(target, Target):
                    assert target.connections == len(asking.answers(session=False)) + 1, "and one that is kept"

        asyncio.run(scenario())

    def test_who_refuses_is_said(self, tmp_path: Path) -> None:
        """A port on which nobody listens is a failure that says so."""

        async def scenario() -> None:
            async with self.target() as target:
                kind = self.kind(target.port)
                await target.stop()
                async with asked(tmp_path / "record", {"p": kind}) as asking:
                    assert {each.said for each in await asking.next(FAILED)} == {"refused"}
                await target.start()

        asyncio.run(scenario())

    def test_silence_fails_at_the_timeout(self, tmp_path: Path) -> None:
        """A target that accepts and says nothing is a failure at the timeout, counted from when a question was due."""

        async def scenario() -> None:
            async with self.target() as target:
                await target.turn(SILENT)
                async with asked(tmp_path / "record", {"p": self.kind(target.port)}) as asking:
                    found = await asking.next(FAILED)
                assert {each.said for each in found} == {"timeout"}
                assert all(each.at - each.due >= TIMEOUT for each in found)
                assert all(each.sent - each.due < TIMEOUT for each in found), "none waits for those before"

        asyncio.run(scenario())

    def test_an_end_in_the_middle_is_a_failure(self, tmp_path: Path) -> None:
        """A target that ends in the middle of its answer has not answered."""

        async def scenario() -> None:
            async with self.target() as target:
                await target.turn(HALF)
                async with asked(tmp_path / "record", {"p": self.kind(target.port)}) as asking:
                    found = await asking.next(self.in_the_middle)
                assert {each.said for each in found} <= {"closed", "reset", "no DNS"}

        asyncio.run(scenario())

    def test_an_error_is_a_failure(self, tmp_path: Path) -> None:
        """A target that answers with an error has failed, and what it said is told."""

        async def scenario() -> None:
            async with self.target() as target:
                await target.turn(ERROR)
                async with asked(tmp_path / "record", {"p": self.kind(target.port)}) as asking:
                    assert {each.said for each in await asking.next(FAILED)} == {self.error}

        asyncio.run(scenario())

    def test_what_comes_back_is_a_success_again(self, tmp_path: Path) -> None:
        """A target that goes away fails, and succeeds when it is back: the long-lived connection is made anew."""

        async def scenario() -> None:
            async with (
                self.target() as target,
                asked(tmp_path / "record", {"p": self.kind(target.port)}) as asking,
            ):
                await asking.next(OK)
                await target.stop()
                await asking.next(FAILED)
                await target.start()
                await asking.next(OK)

        asyncio.run(scenario())


class TestHttp(KindSuite):
    """A page."""

    error = "503"

    def target(self) -> Target:
        """Without TLS."""
        return Target(targets.web)

    def kind(self, port: int) -> Kind:
        """By its address."""
        return HttpKind(Http(f"http://127.0.0.1:{port}/health?deep=1"), WAYS)


class TestHttps(KindSuite):
    """A page over TLS, whose name no DNS server knows."""

    error = "503"

    def target(self) -> Target:
        """With a certificate."""
        return Target(targets.web, self.context)

    def kind(self, port: int) -> Kind:
        """By its name, with the address given."""
        return HttpKind(Http(f"https://{NAME}/health", Place("127.0.0.1", port), self.authority), WAYS)


class TestKubeApi(KindSuite):
    """An API server, as a kubeconfig leads to it."""

    error = "503"

    def target(self) -> Target:
        """What answers ``/readyz``."""
        return Target(targets.web, self.context)

    def kind(self, port: int) -> Kind:
        """Through another address than the one that its certificate is for, as through a way."""
        access = Access(f"https://127.0.0.1:{port}", self.authority.encode(), NAME, Credentials(token="a-token"))
        return kube_api(KubeApi(access, Place("127.0.0.1", port)), WAYS)


class TestTcp(KindSuite):
    """A port, with what has to come back."""

    error = "another answer"

    def target(self) -> Target:
        """Which says what it is told."""
        return Target(targets.echo)

    def kind(self, port: int) -> Kind:
        """With a line to say."""
        return TcpKind(Tcp(Place("127.0.0.1", port), "ping\n", "ping\n"), WAYS, TIMEOUT)


class TestControl(KindSuite):
    """The prober's parent."""

    error = "another answer"

    def target(self) -> Target:
        """Which says what it is told."""
        return Target(targets.echo)

    def kind(self, port: int) -> Kind:
        """As it is asked."""
        return control(("127.0.0.1", port), WAYS, TIMEOUT)


class TestDnsOverTcp(KindSuite):
    """A DNS server, over TCP."""

    error = "SERVFAIL"

    def target(self) -> Target:
        """Which knows every name."""
        return Target(targets.names)

    def kind(self, port: int) -> Kind:
        """For some name."""
        return DnsKind(Dns(Place("127.0.0.1", port), "kubernetes.default.svc.cluster.local.", tcp=True), WAYS)


class TestDnsOverUdp(KindSuite):
    """A DNS server, over UDP."""

    error = "SERVFAIL"

    def target(self) -> DnsOverUdp:
        """Which knows every name."""
        return DnsOverUdp()

    def kind(self, port: int) -> Kind:
        """For some name."""
        return DnsKind(Dns(Place("127.0.0.1", port), "docfast.example"), WAYS)


class TestSqlRead(KindSuite):
    """A database that is read."""

    error = "25006 cannot execute in a read-only transaction"

    def target(self) -> Target:
        """A stand-in; see ``test_sql`` for the real one."""
        return Target(targets.postgresql)

    def kind(self, port: int) -> Kind:
        """Without TLS."""
        return sql_read(Sql(f"postgresql://me@127.0.0.1:{port}/drkit_drill?sslmode=disable", "run"), WAYS)


class TestSqlWrite(TestSqlRead):
    """A database that is written: what was sent and not answered may have been done."""

    in_the_middle = UNKNOWN

    def kind(self, port: int) -> Kind:
        """Without TLS."""
        return sql_write(Sql(f"postgresql://me@127.0.0.1:{port}/drkit_drill?sslmode=disable", "run"), "p", WAYS)
