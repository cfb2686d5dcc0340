"""One point of several runs: nothing counts before the last of them has sealed it, and what is missing is said."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from drkit.backup.run import Run
from drkit.backup.together import seal
from drkit.clock import SystemClock
from drkit.cluster import indexed_job
from drkit.config.model import Config
from drkit.errors import BackupFailed, ConfigurationError, DrkitError, SourceFailed
from drkit.observe.progress import PlainReporter
from drkit.points import catalogue, names, signing
from drkit.sources.port import MemoryStream
from tests.contract.memory_vault import MemoryVault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from drkit.cluster.kube import Object
    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor
    from drkit.sources.port import SourceStream
    from drkit.vault.port import StoredArchive, Stream

POINT = names.shared_point(datetime(2026, 3, 1, 3, tzinfo=UTC), "the Job's uid")
NAMES = ("a", "b", "c")
EXPECTED = [f"database/main/{name}" for name in NAMES]


@dataclass(frozen=True)
class Small:
    """A source of a few bytes, or one that fails."""

    name: str
    fails: bool = False
    kind: str = "database"
    vaults: tuple[str, ...] = ("databases",)
    file_name: str = "dump"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Its bytes."""
        if self.fails:
            raise SourceFailed("it does not answer")
        with MemoryStream(self.name.encode()) as stream:
            yield stream


class Shares:
    """A repository for each pod, by the names of the pod that seals; each pod calls its own ``databases``."""

    def __init__(self, directory: Path) -> None:
        each = {"url": str(directory / "vault"), "passphrase": {"env": "NOT_ASKED_FOR"}}
        vaults = {"databases": each} | {f"databases-{name}": each for name in NAMES}
        key = {"file": str(directory / "signing.key")}
        self.config = Config.model_validate({"vaults": vaults, "signing_key": key, "sealing": "together"})
        signing.signer(self.config, may_create=True)
        self.vaults = {f"databases-{name}": MemoryVault(f"databases-{name}") for name in NAMES}

    def store(self, name: str, *, fails: bool = False) -> Descriptor:
        """What one pod does."""
        vault = self.vaults[f"databases-{name}"]
        vault.name = "databases"
        run = Run(self.config, {"databases": vault}, SystemClock(), PlainReporter(), part_of=POINT)
        try:
            return run.execute([Small(f"database/main/{name}", fails)]).descriptor
        finally:
            vault.name = f"databases-{name}"

    def seal(self) -> Descriptor:
        """What the last pod does."""
        return seal(self.config, self.vaults, POINT, EXPECTED, PlainReporter()).descriptor

    def points(self) -> Catalogue:
        """What the vaults hold together."""
        return catalogue.read(self.config.cluster.name, self.vaults, signing.verifier(self.config))

    def archives(self) -> Mapping[str, list[str]]:
        """The last part of each archive's name."""
        return {
            name: [each.name.rpartition(".")[2] for each in vault.archives()] for name, vault in self.vaults.items()
        }


@pytest.fixture
def shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shares:
    """With state and cache of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Shares(tmp_path)


def test_several_runs_are_one_point(shares: Shares) -> None:
    """Before it is sealed there is none; then there is one, whole, with each source where it is."""
    for name in NAMES:
        shares.store(name)
    before = shares.points()
    assert before.points == ()
    assert {len(each) for each in before.unsealed.values()} == {2}
    shares.seal()
    [point] = shares.points().points
    assert (point.id, point.complete, set(point.vaults)) == (POINT, True, set(shares.vaults))
    assert {each.name: each.vault for each in point.whole_sources} == dict(zip(EXPECTED, shares.vaults, strict=True))
    assert not any("part" in each for each in shares.archives().values())
    opened = catalogue.open_descriptor(point, shares.vaults, signing.verifier(shares.config))
    assert [each.size for each in opened.sources] == [len(each) for each in EXPECTED]


def test_what_a_run_lacks_is_said(shares: Shares) -> None:
    """A pod that stored nothing, and a source that failed in another, make the point incomplete by their names."""
    shares.store("a")
    with pytest.raises(BackupFailed):
        shares.store("b", fails=True)
    sealed = shares.seal()
    assert {each.name: each.status for each in sealed.sources} == dict(
        zip(EXPECTED, ("ok", "failed", "failed"), strict=True)
    )
    assert all("no run stored it" in each.error for each in sealed.sources[1:])
    [point] = shares.points().points
    assert not point.complete


def test_nothing_of_anybody_is_no_point(shares: Shares) -> None:
    """Where no pod stored anything, nothing is sealed."""
    for vault in shares.vaults.values():
        vault.create()
    with pytest.raises(BackupFailed, match="no run stored anything"):
        shares.seal()


def test_sealing_that_was_cut_off_is_gone_on_with(shares: Shares, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a second try seals is the same point, byte by byte, where the first one did not get to."""
    for name in NAMES:
        shares.store(name)
    vault = shares.vaults["databases-c"]

    def refuse(name: str, stream: Stream, **_: object) -> StoredArchive:
        raise DrkitError("cut off")

    with monkeypatch.context() as context:
        context.setattr(vault, "store", refuse)
        outcome = seal(shares.config, shares.vaults, POINT, EXPECTED, PlainReporter())
    assert set(outcome.unsealed) == {"databases-c"}
    assert shares.seal() == outcome.descriptor
    [point] = shares.points().points
    assert set(point.vaults) == set(shares.vaults)
    assert shares.points().problems == ()


def test_a_pod_that_comes_again_begins_anew(shares: Shares, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed pod left under the same point is removed by its successor, and the point has each source once."""
    vault = shares.vaults["databases-a"]
    whole = vault.store

    def died(name: str, stream: Stream, **more: str) -> StoredArchive:
        if name.endswith(names.PART):
            raise SystemExit  # as if the pod were gone: nothing is undone
        return whole(name, stream, **more)  # type: ignore[arg-type]  # as it was called

    with monkeypatch.context() as context:
        context.setattr(vault, "store", died)
        with pytest.raises(SystemExit):
            shares.store("a")
    for name in NAMES:
        shares.store(name)
    assert shares.seal().complete
    assert shares.archives()["databases-a"] == ["database-main-a-" + shares.archives()["databases-a"][0][-8:], "point"]


def job(completed: str = "", failed: str = "") -> Object:
    """A Job of four pods."""
    status = {"completedIndexes": completed} | ({"failedIndexes": failed} if failed else {})
    return {
        "metadata": {"creationTimestamp": "2026-03-01T03:00:00Z", "uid": "the Job's uid"},
        "spec": {"completions": 4},
        "status": status,
    }


def test_the_last_pod_waits_for_all_others() -> None:
    """Those that failed for good count as done; what runs, or has not begun, does not."""
    asked = [job(), job("0"), job("0-1"), job("0-1", "2")]
    waited: list[float] = []
    found = indexed_job.wait_for_others(lambda: asked[len(waited)], waited.append)
    assert len(waited) == 3
    assert indexed_job.point(found) == POINT
    assert indexed_job.indexes("0-2,5") == {0, 1, 2, 5}
    with pytest.raises(ConfigurationError, match="do not name a Job"):
        indexed_job.asked(None, {})  # type: ignore[arg-type]  # it is not asked
