"""Differences, status, and what prune and the next run remove."""

from __future__ import annotations

from datetime import timedelta

from drkit.backup.leftovers import debris
from drkit.config.model import Config
from drkit.errors import VerificationFailed
from drkit.points import diff, status
from drkit.points.catalogue import Catalogue
from drkit.points.prune import in_order
from drkit.vault.port import Archive
from tests.unit.builders import NOON, descriptor, failed, point, point_id, source

HOUR = timedelta(hours=1)
OLD = point_id(NOON - timedelta(hours=30))
NEW = point_id(NOON)


def _archives(*names: str) -> list[Archive]:
    return [Archive(name, f"{number:064x}") for number, name in enumerate(names)]


def _with_tables(**rows: int) -> dict[str, object]:
    return {"proof": {"tables": {name: {"rows": count} for name, count in rows.items()}}}


def test_no_difference_is_no_change() -> None:
    """A point does not differ from itself."""
    one = descriptor(sources=[source(details=_with_tables(a=1)), failed("database/x")])
    assert diff.between(one, one) == ()


def test_tables_and_rows_are_compared() -> None:
    """What was added, removed and changed is named, table by table, with the rows before and after."""
    old = descriptor(sources=[source(details=_with_tables(gone=5, same=1, grown=2))])
    new = descriptor(sources=[source(details=_with_tables(same=1, grown=3, new=0))])
    assert [(each.what, each.change, each.before, each.after) for each in diff.between(old, new)] == [
        ("table gone", "removed", 5, None),
        ("table grown", "changed", 2, 3),
        ("table new", "added", None, 0),
    ]


def test_sources_versions_and_sizes_are_compared() -> None:
    """A source that came, went or failed is a difference, and so are versions, extensions, sequences and sizes."""
    old = descriptor(
        sources=[
            source(
                "database/a",
                size=10,
                details={
                    "versions": {"postgresql": "16.1", "extensions": {"citext": "1.5"}},
                    "proof": {"sequences": {"s": [1, True, 1]}, "large_objects": 1},
                },
            ),
            source("database/b"),
            source("database/c"),
        ]
    )
    new = descriptor(
        sources=[
            source(
                "database/a",
                size=20,
                details={
                    "versions": {"postgresql": "17.0", "extensions": {"citext": "1.6"}},
                    "proof": {"sequences": {"s": [9, True, 1]}, "large_objects": 2},
                },
            ),
            failed("database/b"),
            source("database/d"),
        ]
    )
    assert [(each.source, each.what, each.change) for each in diff.between(old, new)] == [
        ("database/a", "sequence s", "changed"),
        ("database/a", "extension citext", "changed"),
        ("database/a", "PostgreSQL", "changed"),
        ("database/a", "bytes", "changed"),
        ("database/a", "large objects", "changed"),
        ("database/b", "status", "changed"),
        ("database/c", "source", "removed"),
        ("database/d", "source", "added"),
    ]


def test_contents_are_compared_where_both_know_them() -> None:
    """A checksum that differs under the same number of rows is a difference; one that only one side has is none."""

    def of(checksum: str | None) -> dict[str, object]:
        return {"proof": {"tables": {"t": {"rows": 1, **({"checksum": checksum} if checksum else {})}}}}

    one, other, without = (descriptor(sources=[source(details=of(value))]) for value in ("x", "y", None))
    assert [each.what for each in diff.between(one, other)] == ["contents of table t"]
    assert diff.between(one, without) == ()


def _config(*names: str) -> Config:
    return Config.model_validate(
        {
            "vaults": {"databases": {"url": "vault", "passphrase": {"env": "X"}}},
            "databases": [{"name": name, "dsn": {"env": "X"}} for name in names],
        }
    )


def test_status_tells_the_age_and_the_last_proof_of_each_source() -> None:
    """For each source: where its newest whole copy is, how old that is, and when a restore of it was last proven."""
    newest = point(NOON, [source("database/a"), failed("database/b")])
    older = point(NOON - HOUR, [source("database/a"), source("database/b")], verified="restored")
    stands = status.stand(_config("a", "b", "never"), Catalogue((newest, older)), NOON + HOUR, None)
    assert [(each.source, each.point, each.age, bool(each.proven)) for each in stands.sources] == [
        ("database/a", newest.id, 3600, True),
        ("database/b", older.id, 7200, True),
        ("database/never", None, None, False),
    ]
    assert stands.newest == newest.id
    assert stands.points == 2
    assert any("incomplete" in problem for problem in stands.problems)


def test_status_names_what_is_wrong() -> None:
    """Problems of the catalogue and archives of dead runs are part of where the cluster stands."""
    catalogue = Catalogue((), (VerificationFailed("tampered"),), {"databases": ("one", "two"), "cluster": ()})
    problems = status.stand(_config(), catalogue, NOON, None).problems
    assert problems == ("tampered", "databases: 2 archives of runs that never sealed")


def test_descriptors_are_removed_first() -> None:
    """A prune that is interrupted leaves archives without a descriptor, never a descriptor without archives."""
    archives = _archives(f"c.{OLD}.a", f"c.{OLD}.point", f"c.{NEW}.point", f"c.{NEW}.z", f"d.{OLD}.point", "by hand")
    assert in_order("c", archives, [OLD]) == [f"c.{OLD}.point", f"c.{OLD}.a"]
    both = in_order("c", archives, [OLD, NEW])
    assert set(both[:2]) == {f"c.{OLD}.point", f"c.{NEW}.point"}
    assert set(both[2:]) == {f"c.{OLD}.a", f"c.{NEW}.z"}
    assert in_order("c", archives, []) == []


def test_debris_is_what_no_point_and_no_living_run_owns() -> None:
    """Archives of dead runs of this machine go at once, of other machines after a day, sealed ones never."""
    archives = _archives(f"c.{OLD}.a", f"c.{NEW}.a", f"c.{NEW}.b", f"d.{OLD}.a", "by hand")
    assert debris("c", archives, [], NOON) == [f"c.{OLD}.a"]
    assert debris("c", archives, [NEW], NOON) == [f"c.{OLD}.a", f"c.{NEW}.a", f"c.{NEW}.b"]
    sealed = [*archives, *_archives(f"c.{OLD}.point", f"c.{NEW}.point")]
    assert debris("c", sealed, [OLD, NEW], NOON) == []


def test_checkpoints_of_a_dead_run_are_debris() -> None:
    """What Borg kept of an archive that was being written goes with the rest of its run."""
    archives = _archives(f"c.{NEW}.a.checkpoint", f"c.{NEW}.b.checkpoint.2")
    assert debris("c", archives, [NEW], NOON) == [archive.name for archive in archives]


def test_a_clock_that_went_back_makes_no_debris() -> None:
    """A run that another machine began in our future may still be going."""
    archives = _archives(f"c.{point_id(NOON + 5 * HOUR)}.a")
    assert debris("c", archives, [], NOON) == []
