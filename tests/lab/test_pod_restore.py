"""The steps of a restore inside a pod: the pod's own programs, fed through the API, with a real PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from drkit.cluster.server import InPod
from drkit.errors import PreflightFailed, RestoreFailed, TargetNotEmpty, VerificationFailed
from drkit.postgres.quoting import identifier
from drkit.restore import aside, databases, target
from drkit.restore.databases import Origin
from drkit.restore.target import Place
from drkit.sources.database import dumping
from tests.contract.memory_vault import MemoryVault
from tests.contract.streams import stream
from tests.lab.pod_here import PodHere
from tests.lab.test_round_trip import RICH
from tests.lab.test_vault_trouble import BULKY
from tests.lab.waiting import until
from tests.unit.builders import source

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.errors import DrkitError
    from drkit.lab.postgres import LabPostgres
    from drkit.points.descriptor import SourceEntry

ARCHIVE = "archive"
VERIFIER = f"SCRAM-SHA-256$4096:c2FsdA==${'A' * 43}=:{'B' * 43}="


class Quiet:
    """A task that nobody watches."""

    def update(self, done: int, total: int | None = None) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Restarting(InPod):
    """A server that has left whenever it is asked: another one, which is the same here, takes its place."""

    def left(self, error: DrkitError) -> bool:  # noqa: ARG002 - whatever it was
        """Yes."""
        return True


@dataclass(frozen=True)
class Fixed:
    """A destination that stays where it is."""

    pod: InPod

    @property
    def shown(self) -> str:
        """For messages."""
        return self.pod.shown

    @property
    def database(self) -> str:
        """The database's name."""
        return self.pod.database

    def server(self) -> InPod:
        """The pod."""
        return self.pod


@dataclass
class Scene:
    """A pod, a vault with a dump that was made in it, and a database to restore to."""

    here: PodHere
    vault: MemoryVault
    entry: SourceEntry
    pod: InPod

    @property
    def place(self) -> Place:
        """Where the dump goes."""
        return Place(Fixed(self.pod), self.entry)

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        return Origin(self.vault, None, Path("/nonexistent"), Quiet())

    def sql(self, database: str, statement: str) -> Any:
        """The first column of the first row."""
        with target.connected(self.pod.of(database)) as session:
            row = session.execute(statement).fetchone()
            return row and row[0]

    def load(self, *, resumed: bool = False) -> None:
        """Take the step."""
        databases.loading(self.place, self.origin, sessions=2, resumed=resumed)

    def to(self, pod: type[InPod]) -> Self:
        """The same, by way of another kind of server."""
        return replace(self, pod=pod(self.pod.kube, self.pod.namespace, self.pod.pod, self.pod.database))


@pytest.fixture
def here(postgres: LabPostgres, lab_directory: Path) -> PodHere:
    """A pod with the tests' PostgreSQL."""
    return PodHere(postgres, lab_directory / "postgres")


def sealed(kube: PodHere, database: str) -> tuple[MemoryVault, SourceEntry]:
    """A vault with a dump of the database, made in the pod."""
    vault = MemoryVault()
    vault.create()
    with dumping(InPod(kube, "space", "pod", database), content=True) as running:
        stored = vault.store(ARCHIVE, running, file_name="database.dump")
        details = running.details()
    entry = source("database/space/pair/x", archive=ARCHIVE, size=stored.size, sha256=stored.sha256, details=details)
    return vault, entry


def scene(kube: PodHere, database: str, to: str) -> Scene:
    """Everything in its place."""
    return Scene(kube, *sealed(kube, database), InPod(kube, "space", "pod", to))


def test_everything_comes_back(here: PodHere, database: Callable[..., str], absent: Callable[..., str]) -> None:
    """Odd names, rights, large objects, sequences: aside or in one transaction, what was dumped comes back the same."""
    rich, odd = database(RICH), absent("""Größe "a=b" :c %s \\d""")
    for to in (odd, database()):
        there = scene(here, rich, to)
        target.preflight(there.place, must_be_empty=True)
        assert databases.missing_roles(there.place.at, there.entry.details["roles"]) == set()
        assert databases.create(there.place) == []
        there.load()
        databases.analyze(there.place)
        databases.prove(there.place)
        databases.publish(there.place)
        databases.publish(there.place)
        assert databases.put_back_properties(there.place) == []
        assert sealed(here, to)[1].details["proof"] == there.entry.details["proof"]
        assert there.sql(to, "select count(*) from pg_class where relkind = 'i' and relnamespace > 16000") == there.sql(
            rich, "select count(*) from pg_class where relkind = 'i' and relnamespace > 16000"
        )
    until(lambda: not here.left_over())


def test_what_is_there_is_not_touched(here: PodHere, database: Callable[..., str], small: str) -> None:
    """A database that holds something is refused before anything is done to it."""
    there = scene(here, small, database("create table mine ()"))
    with pytest.raises(TargetNotEmpty, match="mine"):
        target.preflight(there.place, must_be_empty=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"versions": {"postgresql": "99.1", "extensions": {}}}, "the dump is from 99"),
        ({"versions": {"postgresql": "13.0", "extensions": {"nowhere": "1"}}}, "lacks the extensions nowhere"),
        ({"disk_bytes": 10**18}, "bytes are free"),
        ({"dump_format": "pg_dump-directory-tar"}, "staging directory"),
    ],
)
def test_what_cannot_work_is_refused_before(
    here: PodHere, small: str, absent: Callable[..., str], changed: dict[str, Any], said: str
) -> None:
    """A server that is too old, lacks an extension or has no room for it is named before anything is made."""
    there = scene(here, small, absent())
    there.entry = replace(there.entry, details={**there.entry.details, **changed})
    with pytest.raises(PreflightFailed, match=said):
        target.preflight(there.place, must_be_empty=True)


@pytest.mark.parametrize("in_place", [False, True])
def test_what_was_not_sealed_is_not_loaded(
    here: PodHere, small: str, database: Callable[..., str], absent: Callable[..., str], in_place: bool
) -> None:
    """An archive whose checksum is another one leaves no database, and one that was there as empty as it was."""
    there = scene(here, small, database() if in_place else absent())
    there.entry = replace(there.entry, sha256="00" * 32)
    databases.create(there.place)
    with pytest.raises(VerificationFailed, match="not what was sealed"):
        there.load()
    if in_place:
        until(lambda: there.sql(there.pod.database, "select to_regclass('public.customer')") is None)
    assert not exists(there, aside.working_name(there.pod.database))


@pytest.mark.parametrize("in_place", [False, True])
def test_pg_restores_last_words_are_in_the_error(
    here: PodHere, small: str, database: Callable[..., str], absent: Callable[..., str], in_place: bool
) -> None:
    """What is no dump is refused by pg_restore in the pod, and its words come back."""
    there = scene(here, small, database() if in_place else absent())
    vault = MemoryVault()
    vault.create()
    with stream(b"no dump" * 300_000) as content:
        stored = vault.store(ARCHIVE, content, file_name="x")
    there.vault, there.entry = vault, replace(there.entry, size=stored.size, sha256=stored.sha256)
    with pytest.raises(RestoreFailed, match="does not appear to be a valid archive") as refused:
        there.load()
    assert not refused.value.passes


@pytest.mark.parametrize("in_place", [False, True])
def test_a_cut_connection_leaves_nothing_half_done(
    here: PodHere, database: Callable[..., str], absent: Callable[..., str], in_place: bool
) -> None:
    """Cut in mid-load, nothing runs on in the pod and nothing has the database's name; taken again it is whole."""
    to = database() if in_place else absent()
    there = scene(here, database(BULKY), to)
    databases.create(there.place)
    here.cut_after = there.entry.size // 2
    with pytest.raises(RestoreFailed, match="the connection was cut") as cut:
        there.load()
    assert cut.value.passes
    until(lambda: not here.left_over())
    until(lambda: not busy(there))
    if in_place:
        assert there.sql(to, "select to_regclass('public.bulky')") is None
    else:
        assert not exists(there, to)
    there.load(resumed=True)
    databases.prove(there.place)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_server_that_leaves_is_followed(
    here: PodHere, database: Callable[..., str], absent: Callable[..., str], in_place: bool
) -> None:
    """When the pod goes away in mid-load, the load begins again on the one that took its place."""
    there = scene(here, database(BULKY), database() if in_place else absent()).to(Restarting)
    databases.create(there.place)
    here.cut_after = there.entry.size // 2
    there.load()
    assert here.cuts == 1
    databases.prove(there.place)
    databases.publish(there.place)
    assert there.sql(there.pod.database, "select count(*) from public.bulky") == 3000


def test_what_was_not_proven_gets_no_name(here: PodHere, small: str, absent: Callable[..., str]) -> None:
    """A server that took another's place without all that was proven there does not publish what it has."""
    there = scene(here, small, absent())
    databases.create(there.place)
    there.load()
    with pytest.raises(VerificationFailed, match="not what was proven"):
        databases.publish(there.place)
    assert not exists(there, there.pod.database)
    databases.prove(there.place)
    databases.publish(there.place)
    assert there.sql(there.pod.database, "select count(*) from public.customer") == 500


def test_roles_that_are_there_stay_as_they_are(here: PodHere, small: str) -> None:
    """Missing roles are made with their passwords' hashes; one that exists keeps what it has."""
    there = scene(here, small, "postgres")
    names = ("pod role 'ä' \"x\"", "pod_there")
    made, kept = map(identifier, names)
    script = (
        f"CREATE ROLE {made};\nALTER ROLE {made} WITH LOGIN PASSWORD '{VERIFIER}';\n"
        f"CREATE ROLE {kept};\nALTER ROLE {kept} WITH LOGIN;\nGRANT {kept} TO {made};\n"
    )
    there.sql("postgres", f"create role {kept} nologin")
    try:
        assert databases.make_roles(there.place.at, script, None) == [names[0]]
        assert databases.make_roles(there.place.at, script, None) == []
        stored = "select rolpassword from pg_authid where rolname = 'pod role ''ä'' \"x\"'"
        assert there.sql("postgres", stored) == VERIFIER
        assert there.sql("postgres", "select rolcanlogin from pg_roles where rolname = 'pod_there'") is False
    finally:
        for role in (made, kept):
            there.sql("postgres", f"drop role if exists {role}")


def exists(there: Scene, database: str) -> bool:
    """Whether there is a database of this name."""
    with target.maintenance(there.pod) as session:
        return aside.exists(session, database)


def busy(there: Scene) -> bool:
    """Whether somebody is connected to the database or to the one aside."""
    names = (there.pod.database, aside.working_name(there.pod.database))
    with target.maintenance(there.pod) as session:
        return any(row[0] in names for row in session.execute("select datname from pg_stat_activity"))


def test_a_name_need_not_be_in_its_databases_encoding(here: PodHere, absent: Callable[..., str]) -> None:
    """A database whose name its own encoding cannot write gets its owner, settings and comment back all the same."""
    was, to = absent("Œuvre"), absent("Œuvre 2")
    locale = "template template0 lc_collate 'C' lc_ctype 'C'"
    there = InPod(here, "space", "pod", was)
    with target.maintenance(there) as session:
        session.execute("create role painter")
        session.execute(f"create database {identifier(was)} owner painter encoding 'LATIN1' {locale}")
        session.execute(f"alter database {identifier(was)} set work_mem = '7MB'")
    try:
        restored = scene(here, was, to)
        databases.create(restored.place)
        restored.load()
        databases.prove(restored.place)
        databases.publish(restored.place)
        assert databases.put_back_properties(restored.place) == []
    finally:
        with target.maintenance(there) as session:
            for name in (was, to):
                session.execute(f"drop database if exists {identifier(name)}")
            session.execute("drop role painter")
