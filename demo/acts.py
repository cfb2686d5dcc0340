"""The acts with the shop's database, in order."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg

from demo import compare, data
from demo.play import ActFailed, Play
from demo.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from demo.compare import Portrait
    from demo.data import Shop

_TARGET_ALIVE = 14
_VERIFICATION_FAILED = 13
_RESTORE = ("restore", "--to", "spare", "--only", "database/shop")
_SHOWN = 3
"""How many names of differing things are shown for each kind."""


@dataclass
class ShopPlay(Play[Stage]):
    """What the acts hand on to each other."""

    shop: Shop | None = None
    portraits: dict[str, Portrait] = field(default_factory=dict)


def set_up(play: ShopPlay) -> None:
    """The data, the vault and the configuration."""
    stage, terminal = play.stage, play.terminal
    with play.act("A shop, its server, and a vault behind SSH") as act:
        play.shop = data.build(stage.postgres)
        extensions = ", ".join(play.shop.extensions) or "none (contrib is not installed here)"
        terminal.line(
            f"PostgreSQL {stage.postgres.major} on 127.0.0.1:{stage.postgres.port}, started for this demonstration"
        )
        terminal.line(f"  databases shop and shop_staging: {play.shop.rows:,} rows, {play.shop.size / 1e6:.0f} MB")
        terminal.line(f"  partitions, large objects, policies, odd names; extensions: {extensions}")
        terminal.line(f"sshd on 127.0.0.1:{stage.box.port}: one key, a forced `borg serve`, no shell")
        terminal.line("drkit.yaml:")
        terminal.listing(stage.configure("drkit.yaml", stage.box.url(stage.repository.name)))
        act.proven = f"{play.shop.rows:,} rows, {play.shop.size / 1e6:.0f} MB in two databases"


def check(play: ShopPlay) -> None:
    """Every connection."""
    with play.act("Is everything in place?") as act:
        play.drkit("check")
        act.proven = "programs, vault, databases: all answer"


def first_backup(play: ShopPlay) -> None:
    """The first recovery point."""
    with play.act("The first backup") as act:
        play.drkit("backup")
        act.proven = "a signed recovery point is sealed"


def second_backup(play: ShopPlay) -> None:
    """Changes, and the second recovery point."""
    with play.act("A day of business, then the second backup") as act:
        play.portraits["yesterday"] = _portray(play)
        data.change(play.stage.postgres)
        play.terminal.line(
            "orders came in, prices rose, old payments were deleted, gift cards got a table of their own"
        )
        play.drkit("backup")
        play.portraits["today"] = _portray(play)
        act.proven = "a second one, and what is new in the vault is told"


def points(play: ShopPlay) -> None:
    """What the vault holds."""
    with play.act("What is there, and what changed?") as act:
        play.drkit("points")
        play.drkit("points", "diff")
        act.proven = "changes are shown table by table"


def verify(play: ShopPlay) -> None:
    """A restore into scratch, compared."""
    with play.act("Can it be restored? Tried, not believed") as act:
        play.drkit("verify", "--deep")
        act.proven = "signatures, checksums, and a scratch restore: equal"


def refuse(play: ShopPlay) -> None:
    """A restore over a living database."""
    with play.act("A restore does not overwrite what is alive") as act:
        play.drkit(*_RESTORE, expected=_TARGET_ALIVE)
        _see_equal(play, "today")
        act.proven = f"refused with exit code {_TARGET_ALIVE}, nothing touched"


def destroy(play: ShopPlay) -> None:
    """The disaster."""
    with play.act("The disaster") as act:
        data.destroy(play.stage.postgres)
        play.terminal.line("dropped: the database shop, and every role that it had", "red")
        try:
            data.connect(play.stage.postgres, data.SHOP).close()
        except psycopg.OperationalError as error:
            play.terminal.line(f"PostgreSQL says: {str(error).rpartition('FATAL:')[2].strip()}")
        else:
            raise ActFailed("the database is still there")
        act.proven = "database and roles are gone"


def restore(play: ShopPlay) -> None:
    """The restore."""
    with play.act("The restore") as act:
        play.drkit(*_RESTORE, "--plan")
        seconds = play.drkit(*_RESTORE)
        act.proven = f"back, with its roles, {seconds:.1f} s after the command"


def see_same(play: ShopPlay) -> None:
    """The comparison, by other means than drkit's; and the proof that it can see a difference."""
    with play.act("Is it the same? Asked of PostgreSQL, not of drkit") as act:
        compared = _see_equal(play, "today")
        rows = [["", "COMPARED", "COUNT"]]
        rows += [["ok", each.kind, f"{each.count:,}"] for each in compared]
        play.terminal.table(rows, numbers=(2,))
        assert play.shop is not None  # noqa: S101 - the first act made it
        address = play.stage.postgres.address(data.SHOP, user=data.APPLICATION, password=play.shop.password)
        with psycopg.connect(address) as application:
            application.execute("select from public.orders limit 1")
        play.terminal.line(f"{data.APPLICATION} logs in with the password that it had, and reads its orders")
        blind = not any(
            each.different for each in compare.compare(play.portraits["yesterday"], play.portraits["today"])
        )
        if blind:
            raise ActFailed("the comparison sees no difference between two days that differ")
        count = compare.rows(play.portraits["today"])
        act.proven = f"{count:,} rows, {compared[0].count} tables, large objects, grants: identical"


def corrupt(play: ShopPlay) -> None:
    """One byte in a copy of the vault."""
    with play.act("A check that cannot fail proves nothing") as act:
        copy = play.stage.directory / "copy"
        shutil.copytree(play.stage.repository, copy)
        play.stage.configure("copy.yaml", str(copy))
        play.terminal.line("a copy of the vault, as it is:")
        play.drkit("verify", "--config", "copy.yaml")
        file, position = _flip_byte(copy)
        play.terminal.line()
        play.terminal.line(
            f"and with one byte changed: {file.relative_to(copy)}, byte {position:,} of {file.stat().st_size:,}", "red"
        )
        play.drkit("verify", "--config", "copy.yaml", expected=_VERIFICATION_FAILED)
        act.proven = f"one byte of {_size(copy) / 1e6:.0f} MB changed: found, exit code {_VERIFICATION_FAILED}"


ALL = (set_up, check, first_backup, second_backup, points, verify, refuse, destroy, restore, see_same, corrupt)


def _portray(play: ShopPlay) -> compare.Portrait:
    with data.connect(play.stage.postgres, data.SHOP) as database:
        return compare.portray(database)


def _see_equal(play: ShopPlay, day: str) -> list[compare.Compared]:
    """Compare the shop with what it was. Raises ``ActFailed`` where anything differs."""
    compared = compare.compare(play.portraits[day], _portray(play))
    wrong = [each for each in compared if each.different]
    for each in wrong:
        more = f" and {len(each.different) - _SHOWN} more" if len(each.different) > _SHOWN else ""
        play.terminal.line(f"{each.kind} differ: {', '.join(each.different[:_SHOWN])}{more}", "red")
    if wrong:
        raise ActFailed(f"not what it was: {', '.join(each.kind for each in wrong)}")
    return compared


def _flip_byte(repository: Path) -> tuple[Path, int]:
    """Invert one byte in the middle of the largest segment; returns the file and the position."""
    segments = [path for path in (repository / "data").rglob("*") if path.is_file()]
    largest = max(segments, key=lambda path: path.stat().st_size)
    position = largest.stat().st_size // 2
    with largest.open("r+b") as file:
        file.seek(position)
        was = file.read(1)[0]
        file.seek(position)
        file.write(bytes([was ^ 0xFF]))
    return largest, position


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
