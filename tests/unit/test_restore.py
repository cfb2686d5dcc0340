"""Plan, journal and the stream out of the vault."""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.model import Config, Secret, VaultConfig
from drkit.errors import PreflightFailed, VerificationFailed
from drkit.points.select import Chosen, RecoverySet
from drkit.postgres.connection import parse
from drkit.restore import plan
from drkit.restore.engine import journal
from drkit.restore.run import DatabaseRestore
from drkit.restore.stream import feed
from tests.contract.memory_vault import MemoryVault
from tests.contract.streams import stream
from tests.unit.builders import NOON, point, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.restore.engine.plan import Plan
    from drkit.vault.port import Reader

NOW = NOON + timedelta(hours=1)


def _chosen(*names: str) -> list[Chosen]:
    sources = [source(name) for name in names]
    whole = point(NOON, sources)
    return [Chosen(each, whole) for each in sources]


def _plan(databases: list[str], *names: str, roles: tuple[str, ...] = ("globals/a",)) -> Plan:
    return plan.make("spare", databases, RecoverySet(tuple(_chosen(*names))), _chosen(*roles), NOW)


def _of(made: Plan, what: str) -> set[str]:
    """What a detail of the steps that load is."""
    return {step.details[what] for step in made.steps if step.action == plan.LOAD}


def _read(begun: journal.Journal) -> journal.History:
    history = journal.read(begun)
    assert history is not None
    return history


def test_a_plan_is_the_same_each_time() -> None:
    """Equal sources, target and options make an equal plan."""
    assert _plan(["a", "b"], "database/a", "database/b") == _plan(["a", "b"], "database/a", "database/b")


def test_a_servers_own_database_needs_no_place() -> None:
    """The database ``postgres`` of a cluster is left out, and said, where the target has none; asked for, it is not."""
    own, shop = "database/postgres/main-db/postgres", "database/postgres/main-db/shop"
    made = _plan(["shop"], own, shop)
    assert _of(made, "source") == {shop}
    assert made.warnings == (f"{own} is left out: target spare has no database for it",)
    assert _of(_plan(["shop", "postgres"], own, shop), "database") == {"shop", "postgres"}
    with pytest.raises(PreflightFailed, match="no database for"):
        _plan(["shop"], own)
    with pytest.raises(PreflightFailed, match="no database for"):
        _plan(["shop"], "database/postgres", "database/shop")


def test_roles_come_before_databases_and_proofs_last() -> None:
    """A database is made, loaded, proven, and only then named, after the roles."""
    steps = [step.id for step in _plan(["a"], "database/a").steps]
    assert steps == [
        "roles globals/a",
        *(f"{action} a" for action in ("create", "load", "analyze", "prove", "publish", "settings")),
    ]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True))
def test_a_step_needs_only_what_stands_before_it(databases: list[str]) -> None:
    """Ids are unique and needs point backwards: the order of the plan is one in which it can be carried out."""
    made = _plan(databases, *(f"database/{name}" for name in databases))
    done: set[str] = set()
    for step in made.steps:
        assert step.id not in done
        assert set(step.needs) <= done
        done.add(step.id)
    assert _of(made, "database") == set(databases)


def test_a_source_without_a_place_is_refused() -> None:
    """A target that lacks a database is named with what it has, before anything is done."""
    with pytest.raises(PreflightFailed, match=r"no database for database/b \(it has: a\)") as refused:
        _plan(["a"], "database/a", "database/b")
    assert "clusters.spare.databases" in refused.value.hint


def test_a_long_name_finds_its_place_by_its_end() -> None:
    """A database is bound by its whole name first, then by its last part."""
    assert plan.bind("database/postgres/main-db/docfast", ["docfast"]) == "docfast"
    assert plan.bind("database/a/b", ["b", "a/b"]) == "a/b"
    assert plan.bind("database/a/b", ["a"]) is None


def test_the_plan_shows_what_it_draws_on_and_how_old_that_is() -> None:
    """Ages are those of the points; all roles are made only where they were asked for."""
    made = _plan(["a"], "database/a")
    assert [(each.source, each.age) for each in made.draws_on] == [("globals/a", 3600), ("database/a", 3600)]
    assert not made.steps[0].details["all"]
    assert _plan(["a"], "database/a", "globals/a").steps[0].details["all"]


def test_a_plan_whose_database_is_gone_from_the_target_is_refused() -> None:
    """A restore that is resumed after its target was configured anew says what it misses, and touches nothing."""
    made = _plan(["a", "b"], "database/a", "database/b")
    config = Config(vaults={"databases": VaultConfig(url="vault", passphrase=Secret(env="NOT_ASKED_FOR"))})
    work = DatabaseRestore(config, {}, made, {}, {"a": parse("dbname=a", "a")})
    with pytest.raises(PreflightFailed, match="has no database b any more"), work.prepared("1", journal.History({})):
        pytest.fail("it began")


def test_a_journal_tells_what_was_written() -> None:
    """The plan, the last word on each step, and whether the restore came to its end."""
    begun = journal.begin("spare", "1", {"target": "Größe"})
    begun.write(step="load a", status=journal.STARTED)
    assert _read(begun).plan == {"target": "Größe"}
    assert _read(begun).steps == {"load a": journal.STARTED}
    begun.write(step="load a", status=journal.DONE, result={"rows": 3})
    assert not _read(begun).finished
    begun.write(status=journal.FINISHED)
    assert _read(begun).steps == {"load a": journal.DONE}
    assert _read(begun).results == {"load a": {"rows": 3}}
    assert _read(begun).finished


def test_a_line_that_was_cut_off_was_not_written() -> None:
    """Wherever a crash cut the last line, everything before it counts."""
    begun = journal.begin("spare", "1", {"target": "spare"})
    begun.write(step="load a", status=journal.STARTED)
    before = begun.path.read_bytes()
    begun.write(step="load a", status=journal.DONE)
    whole = begun.path.read_bytes()
    for end in range(len(before), len(whole) - 1):
        begun.path.write_bytes(whole[:end])
        assert _read(begun).steps == {"load a": journal.STARTED}


def test_a_journal_without_a_plan_is_none() -> None:
    """A restore that died before its plan reached the disk never began."""
    begun = journal.begin("spare", "1", {})
    begun.path.write_bytes(b'{"pla')
    assert journal.read(begun) is None


def test_the_newest_journal_is_the_one_that_was_begun_last() -> None:
    """Resuming goes on with the last restore to the same target."""
    assert journal.newest("spare") is None
    for name in ("20260301T000000Z-ffffff", "20260302T000000Z-000000"):
        journal.begin("spare", name, {})
    journal.begin("other", "20270101T000000Z-000000", {})
    newest = journal.newest("spare")
    assert newest is not None
    assert newest.path.stem == "20260302T000000Z-000000"


class _SlowVault(MemoryVault):
    """Gives its archives in small blocks."""

    @contextmanager
    def open(self, name: str) -> Iterator[Reader]:
        """Ten bytes at a time."""
        with super().open(name) as reader:
            yield _SmallBlocks(reader)


class _SmallBlocks(io.RawIOBase):
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, size: int = -1) -> bytes:
        return self._reader.read(min(10, size))


def _stored(content: bytes) -> MemoryVault:
    vault = _SlowVault()
    vault.create()
    with stream(content) as this:
        vault.store("archive", this, file_name="f")
    return vault


@given(st.binary(max_size=100))
def test_what_was_sealed_is_written_in_order(content: bytes) -> None:
    """An archive that is what its descriptor says is written whole."""
    written: list[bytes] = []
    sealed = source(archive="archive", size=len(content), sha256=hashlib.sha256(content).hexdigest())
    feed(_stored(content), sealed, written.append)
    assert b"".join(written) == content


@pytest.mark.parametrize(("size", "sha256"), [(35, "00" * 32), (34, None), (36, None)])
def test_the_last_block_waits_for_the_checksum(size: int, sha256: str | None) -> None:
    """What is not what was sealed is never written to its end, so that nobody commits it."""
    content = b"x" * 35
    written: list[bytes] = []
    sealed = source(archive="archive", size=size, sha256=sha256 or hashlib.sha256(content).hexdigest())
    with pytest.raises(VerificationFailed, match="not what was sealed"):
        feed(_stored(content), sealed, written.append)
    assert b"".join(written) == content[:30]
