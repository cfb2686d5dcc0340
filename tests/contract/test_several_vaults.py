"""A run whose sources go to several vaults, with vaults in memory that can be told to fail."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import pytest

from drkit.backup.run import Run
from drkit.clock import SystemClock
from drkit.config.model import Config, Secret, VaultConfig
from drkit.errors import NoRepository, SourceFailed, VaultUnreachable
from drkit.observe.progress import PlainReporter
from drkit.points import catalogue
from drkit.points.prune import Prune
from drkit.points.select import recovery_set
from drkit.points.signing import verifier
from drkit.sources.port import MemoryStream
from tests.contract.memory_vault import MemoryVault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from drkit.vault.port import StoredArchive, Stream

BOTH = ("cluster", "offsite")


class Vaults(dict[str, MemoryVault]):
    """Two of them, and the configuration that names them."""

    def __init__(self, directory: Path) -> None:
        super().__init__({name: MemoryVault(name) for name in BOTH})
        settings = VaultConfig(url=str(directory / "vault"), passphrase=Secret(env="NOT_ASKED_FOR"))
        self.config = Config.model_validate(
            {
                "cluster": {"vaults": list(BOTH)},
                "vaults": dict.fromkeys(BOTH, settings),
                "signing_key": {"file": directory / "signing.key"},
            }
        )

    def points(self) -> catalogue.Catalogue:
        """What those that are there hold."""
        return catalogue.read(self.config.cluster.name, self, verifier(self.config))


@dataclass
class Source:
    """One that notes how many read it at once; it fails as often as it is told to."""

    name: str
    vaults: Sequence[str] = BOTH
    failures: int = 0
    kind: str = "topology"
    file_name: str = "content"
    open_now: int = 0
    most: int = 0
    times: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def open(self) -> Iterator[MemoryStream]:
        """Its content: which reading of it this is."""
        with self.lock:
            self.times += 1
            self.open_now += 1
            self.most = max(self.most, self.open_now)
            number = self.times
        try:
            if number <= self.failures:
                raise SourceFailed("not now")
            with MemoryStream(f"{self.name} {number}".encode(), {"reading": number}) as stream:
                yield stream
        finally:
            with self.lock:
                self.open_now -= 1


class Slow(MemoryVault):
    """One that takes its time, so that others come while it works."""

    def store(
        self,
        name: str,
        stream: Stream,
        *,
        file_name: str,
        comment: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> StoredArchive:
        """Store it, later."""
        time.sleep(0.05)
        return super().store(name, stream, file_name=file_name, comment=comment, progress=progress)


class Lost(MemoryVault):
    """One that was there once and does not answer any more."""

    def _repository(self) -> NoReturn:
        raise VaultUnreachable("nobody answers")


@pytest.fixture
def vaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vaults:
    """Two vaults, with state and cache of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Vaults(tmp_path)


def test_a_source_is_read_once_for_each_vault_and_by_one_at_a_time(vaults: Vaults) -> None:
    """No source has two readers at once, each archive has the proof of its own, and nothing waits in a circle."""
    vaults["offsite"] = Slow("offsite")
    sources = [Source(f"topology/{number}") for number in range(8)]
    sealed = Run(vaults.config, vaults, SystemClock(), PlainReporter()).execute(sources).descriptor
    assert [each.most for each in sources] == [1] * 8
    assert [each.times for each in sources] == [2] * 8
    for source in sources:
        readings = {each.vault: each.details["reading"] for each in sealed.sources if each.name == source.name}
        assert readings.keys() == set(BOTH)
        assert sorted(readings.values()) == [1, 2]
    (point,) = vaults.points().points
    assert (point.complete, point.incomplete_in, set(point.vaults)) == (True, (), set(BOTH))


def test_a_reading_that_fails_for_one_vault_is_whole_in_the_other(vaults: Vaults) -> None:
    """The point is complete, says in which vault it is not, and a restore draws on the other one, with a word."""
    outcome = Run(vaults.config, vaults, SystemClock(), PlainReporter()).execute(
        [Source("topology/a", failures=1), Source("topology/b")]
    )
    assert outcome.complete
    (lacking,) = outcome.incomplete_in
    (point,) = vaults.points().points
    assert (point.complete, point.incomplete_in, point.missing) == (True, (lacking,), ())
    drawn = recovery_set([point])
    assert {each.source.vault for each in drawn.chosen if each.source.name == "topology/a"} == set(BOTH) - {lacking}
    assert all(each.source.ok for each in drawn.chosen)


def test_a_vault_that_does_not_answer_is_not_drawn_on(vaults: Vaults) -> None:
    """Sealed in one vault alone, the point says so; with a vault silent later, the other one's archives are taken."""
    run = Run(vaults.config, vaults, SystemClock(), PlainReporter())
    assert run.execute([Source("topology/a")]).complete
    vaults["cluster"] = Lost("cluster")
    outcome = Run(vaults.config, vaults, SystemClock(), PlainReporter()).execute([Source("topology/a")])
    assert (outcome.complete, outcome.incomplete_in, dict(outcome.unsealed)) == (True, ("cluster",), {})
    listed = vaults.points()
    assert [each.complete for each in listed.points] == [True, True]
    assert {each.source.vault for point in listed.points for each in recovery_set([point]).chosen} == {"offsite"}


def test_where_a_vault_is_gone_no_other_is_thinned_out(vaults: Vaults) -> None:
    """What the others hold may be all there is, until somebody has seen what became of it."""
    for _ in range(3):
        Run(vaults.config, vaults, SystemClock(), PlainReporter()).execute([Source("topology/a")])
    vaults["cluster"] = MemoryVault("cluster")
    pruning = Prune(vaults.config, vaults, verifier(vaults.config), SystemClock(), PlainReporter())
    with pytest.raises(NoRepository):
        pruning.execute(carry_out=True)
    assert len(vaults.points().points) == 3


def test_a_source_that_goes_to_one_vault_is_lost_with_it(vaults: Vaults) -> None:
    """Where the only vault of a source is gone, the point is incomplete, whatever else there are of copies."""
    Run(vaults.config, vaults, SystemClock(), PlainReporter()).execute(
        [Source("topology/a"), Source("topology/b", vaults=("cluster",))]
    )
    vaults["cluster"] = MemoryVault("cluster")
    with pytest.raises(NoRepository):
        vaults["cluster"].archives()
    (point,) = vaults.points().points
    assert (point.complete, point.missing) == (False, ("topology/b",))
    assert [each.name for each in point.whole_sources] == ["topology/a"]
