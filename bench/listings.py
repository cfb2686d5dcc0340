"""Short commands: listing a vault with many archives, against Borg's own listing; and ``drkit --help``."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from bench.meter import Program
from bench.tools import Drkit, run
from bench.world import PASSPHRASE, TINY, borg
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.figures import Book, Figure
    from bench.world import World

WARM, COLD = "points, warm caches", "points, cold caches"
HELP = "--help"
BORG = "borg list --json"
_TARGET = 2.0
_HELP_SECONDS = 0.25
_IN_A_POINT = 3
"""Archives that a run makes here: the database, the globals, the descriptor."""


class _Small(Drkit):
    """drkit with one tiny database and a vault in a local directory."""

    def vault(self) -> Path:
        """The repository."""
        return self.world.directory / "points"

    def _configuration(self) -> dict[str, Any]:
        vault = {"url": str(self.vault()), "passphrase": {"env": "BENCH_PASSPHRASE"}}
        databases = [{"name": TINY, "dsn": {"env": f"BENCH_{TINY.upper()}"}}]
        return {"cluster": {"name": "bench"}, "vaults": {"databases": vault}, "databases": databases}


def measure(world: World, book: Book, rounds: int, archives: int) -> None:
    """Make the archives, one point after the other, then list them, with caches and without.

    Args:
        world: where.
        book: takes the measurements.
        rounds: how often each listing is measured, at least three times.
        archives: about how many the vault shall hold.
    """
    small = _Small(world, "points")
    points = -(-archives // _IN_A_POINT)
    _fill(small, points)
    env = {**world.environment("borg-list"), "BORG_PASSPHRASE": PASSPHRASE}
    theirs = Program([borg(), "list", "--json", str(small.vault())], env)
    ours = small.program("points", "--json")
    for what in (COLD, WARM):
        for _ in range(max(3, rounds)):
            for who, program in (("drkit", ours), (BORG, theirs)):
                if what == COLD:
                    _forget(world, "points", "borg-list")
                measured = world.meter.run([(program,)], world.directory)
                listed = json.loads(measured.output)
                book.add(what, who, measured)
                _see(len(listed["points" if who == "drkit" else "archives"]), points, who)


def _fill(small: _Small, points: int) -> None:
    print(f"making {points} recovery points", flush=True)
    backup = small.program("backup", "databases", "--json")
    for _ in range(points):
        run(list(backup.argv), dict(backup.env))


def _forget(world: World, *names: str) -> None:
    """Remove caches: drkit's own, and those of the Borg that it or the user calls."""
    for name in names:
        for cache in sorted(world.home(name).rglob(".cache")):
            shutil.rmtree(cache, ignore_errors=True)


def _see(found: int, points: int, who: str) -> None:
    if found != (points if who == "drkit" else points * _IN_A_POINT):
        raise DrkitError(f"{who} listed {found} of {points} recovery points")


def measure_help(world: World, book: Book, times: int) -> None:
    """``drkit --help``, from start to end."""
    program = Drkit(world).program()
    argv = [program.argv[0], "--help"]
    for _ in range(times):
        book.add(HELP, "drkit", world.meter.run([(Program(argv, program.env),)], world.directory))


def figures(book: Book) -> Sequence[Figure]:
    """Ratios, times, and the help."""
    found: list[Figure] = []
    for what in (WARM, COLD):
        found += book.ratio(what, "drkit", BORG, title=f"{what}: drkit points / {BORG}", target=_TARGET)
    for what in (WARM, COLD):
        for who in ("drkit", BORG):
            found += book.times(what, who, title=f"{what}: {who}")
    return [*found, *book.times(HELP, "drkit", title="drkit --help", target=_HELP_SECONDS)]
