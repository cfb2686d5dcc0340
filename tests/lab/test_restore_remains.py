"""What a restore whose way was cut left at work in a server, met by the attempt after it, in both ways to a server."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.cluster.server import InPod
from drkit.errors import TargetNotEmpty
from drkit.postgres.access import ByDsn
from drkit.postgres.session import StatementFailed
from drkit.restore import aside, databases, remains
from drkit.restore.databases import Origin
from drkit.restore.target import Place
from tests.lab.pod_here import PodHere
from tests.lab.test_pod_restore import Fixed, Quiet, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.lab.postgres import LabPostgres
    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.session import OwnSession
    from tests.contract.memory_vault import MemoryVault

OURS, ANOTHERS = remains.application("20260102t030405z-aaaaaa"), remains.application("20260102t030405z-bbbbbb")
HELD = "select pg_advisory_lock(x'64726B6974'::bigint)"
"""As ``databases`` holds a database that it restores: ``drkit`` in ASCII."""


@dataclass(frozen=True)
class Met:
    """A database that is restored, its dump, and what is connected to it meanwhile.

    Attributes:
        server: makes the way to a database that sessions of this name go.
    """

    server: Callable[[str, str], InPod | ByDsn]
    vault: MemoryVault
    entry: SourceEntry
    stack: ExitStack

    def place(self, database: str) -> Place:
        """Where this restore brings it."""
        found = self.server(database, OURS)
        return Place(Fixed(found) if isinstance(found, InPod) else found, self.entry)

    def load(self, database: str) -> None:
        """Take the step again, of which an attempt before this one is cut off."""
        origin = Origin(self.vault, None, Path("/nonexistent"), Quiet())
        databases.loading(self.place(database), origin, sessions=1, resumed=True)

    def left(self, database: str, application: str, *statements: str) -> OwnSession:
        """A session that nobody ends, and in which something was begun."""
        session = self.stack.enter_context(closing(self.server(database, application).connect()))
        for each in statements:
            session.execute(each)
        return session


@pytest.fixture(params=["pod", "connection"])
def met(request: pytest.FixtureRequest, postgres: LabPostgres, lab_directory: Path, small: str) -> Iterator[Met]:
    """A server that is reached inside its pod, or by a connection string."""
    here = PodHere(postgres, lab_directory / "postgres")

    def server(database: str, application: str) -> InPod | ByDsn:
        if request.param == "pod":
            return InPod(here, "space", "pod", database, application=application)
        return ByDsn(replace(postgres.dsn(database), application=application), None, (Path(postgres.bin_dir),))

    with ExitStack() as stack:
        yield Met(server, *sealed(here, small), stack)


def test_a_load_that_was_cut_off_is_begun_again(met: Met, absent: Callable[..., str]) -> None:
    """What this restore left in the database that is made anew is ended at once, and nothing of it stays."""
    name = absent()
    databases.create(met.place(name))
    old = met.left(aside.working_name(name), OURS, "begin", "create table public.half ()", "commit", HELD)
    met.load(name)
    databases.prove(met.place(name))
    with pytest.raises(StatementFailed):
        old.execute("select 1")


def test_a_load_in_place_that_was_cut_off_is_begun_again(met: Met, database: Callable[..., str]) -> None:
    """What this restore left in a database that was there, in a transaction and with its lock, is undone."""
    name = database()
    met.left(name, OURS, HELD)
    met.left(name, OURS, "begin", "create table public.customer ()")
    met.load(name)
    databases.prove(met.place(name))


def test_a_proof_that_was_cut_off_keeps_no_name_back(met: Met, absent: Callable[..., str]) -> None:
    """Who still counts in a database for an attempt that is over does not keep it from getting its name."""
    name = absent()
    databases.create(met.place(name))
    met.load(name)
    databases.prove(met.place(name))
    met.left(aside.working_name(name), OURS, "begin", "select count(*) from public.customer")
    databases.publish(met.place(name))
    databases.prove(met.place(name))


def test_others_are_named_and_not_ended(met: Met, absent: Callable[..., str], database: Callable[..., str]) -> None:
    """Who is of no attempt of this restore stays, is named, and after its end the restore goes on."""
    name, there = absent(), database()
    databases.create(met.place(name))
    working = aside.working_name(name)
    pid = {
        where: (session := met.left(where, ANOTHERS, HELD)).execute("select pg_backend_pid()").fetchone()
        for where in (working, there)
    }
    for where, held in ((name, working), (there, there)):
        with pytest.raises(TargetNotEmpty, match="is being restored by another drkit") as refused:
            met.load(where)
        found = pid[held]
        assert found is not None
        assert f"in {held} are {found[0]} ({ANOTHERS})" in refused.value.hint
    assert session.execute("select 1").fetchone() == (1,)
    met.stack.close()
    for where in (name, there):
        met.load(where)
        databases.prove(met.place(where))


def test_who_has_no_restores_name_ends_nobody(met: Met, database: Callable[..., str]) -> None:
    """Sessions that are called as those of all of drkit's are may be of a backup."""
    name = database()
    other = met.left(name, "drkit")
    session = met.left(name, "drkit")
    assert remains.end(session, met.server(name, "drkit")) == 0
    assert other.execute("select 1").fetchone() == (1,)
