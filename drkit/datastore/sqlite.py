"""SQLite, as k3s's kine keeps it: its online backup on the node, checked there, streamed out, and removed."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.datastore import header
from drkit.datastore.embedded import see_identity
from drkit.errors import SourceFailed, VerificationFailed
from drkit.sources.passing import Copied, Incoming, passing
from drkit.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from drkit.cluster.node import Node, Output
    from drkit.datastore.bolt import Source
    from drkit.datastore.look import Seen
    from drkit.sources.passing import Passing, Prepared, Write

_BACKUP_SECONDS = 1800.0
_BLOCK = 256 * 1024

QUERIES = (
    "pragma integrity_check(1)",
    "select count(*) from kine",
    "select coalesce(max(id), 0) from kine",
    (
        "select coalesce(group_concat(name, ' '), '') from"
        " (select name, max(id), deleted from kine where name glob '/bootstrap/*' group by name) where deleted = 0"
    ),
)
"""What proves a copy; each gives one line. A row of kine's is a revision (github.com/k3s-io/kine, pkg/drivers)."""

_BACKUP = """
import sqlite3, sys
source = sqlite3.connect("file:state.db?mode=ro", uri=True, timeout=60)
copy = sqlite3.connect(sys.argv[1])
source.backup(copy)
copy.execute("pragma journal_mode = delete")
for query in sys.argv[2:]:
    print(copy.execute(query).fetchone()[0])
copy.close()
"""

# A copy's name holds the number of the process that made it: by it the next run knows what a dead one left.
_SCRIPT = """
backup=$1 point=$2
cd "$3" || exit 1
shift 3
umask 077
for each in state.db.drkit-[0-9]*-*; do
    number=${each#state.db.drkit-}
    number=${number%%-*}
    if [ -e "$each" ] && ! grep -q state.db.drkit "/proc/$number/cmdline" 2>/dev/null; then rm -f -- "$each"; fi
done
copy=state.db.drkit-$$-$point
remove() {
    trap "" TERM HUP INT PIPE
    rm -f -- "$copy" "$copy-journal" "$copy-wal" "$copy-shm"
}
trap remove EXIT
# A signal may come when EXIT has begun to remove: "exit" alone would end the shell before it has.
trap 'remove; exit 143' TERM HUP INT PIPE
if command -v python3 >/dev/null && python3 -c 'import sqlite3' 2>/dev/null; then
    facts=$(python3 -c "$backup" "$copy" "$@") || exit 1
elif command -v sqlite3 >/dev/null; then
    sqlite3 -bail state.db '.timeout 60000' ".backup $copy" || exit 1
    sqlite3 -bail "$copy" 'pragma journal_mode = delete' >/dev/null || exit 1
    facts=$(for query; do sqlite3 -bail "$copy" "$query" || exit 1; done) || exit 1
else
    echo 'neither python3 with its module sqlite3 nor the command sqlite3 is here' >&2
    exit 1
fi
printf '%s\\n%s\\n' "$facts" "$(wc -c <"$copy")"
cat -- "$copy"
"""


@dataclass(frozen=True)
class SqliteFacts:
    """What proves a copy: its newest revision, how many rows of history it has, and whose identity."""

    revision: int
    rows: int
    bootstrap: tuple[str, ...]


def understood(lines: Sequence[str]) -> SqliteFacts:
    """The answers to ``QUERIES``.

    Raises:
        VerificationFailed: the database is damaged, or is not kine's.
    """
    sound, rows, revision, names = lines
    if sound != "ok" or not rows.isdecimal() or not revision.isdecimal():
        raise VerificationFailed(f"the SQLite database is damaged: {sound}")
    return SqliteFacts(int(revision), int(rows), tuple(sorted(names.split())))


def facts(source: Source, parent: Path) -> SqliteFacts:
    """Read a copy to its end, put down in a private directory below ``parent`` for the time, and ask it.

    Raises:
        VerificationFailed: it is damaged, or is not kine's.
    """
    with workspace(parent) as directory:
        place = directory / "state.db"
        with place.open("wb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
        try:
            with closing(sqlite3.connect(f"file:{place}?mode=ro&immutable=1", uri=True)) as database:
                return understood([str(database.execute(query).fetchone()[0]) for query in QUERIES])
        except sqlite3.Error as error:
            raise VerificationFailed(f"the SQLite database is damaged: {error}") from None


@contextmanager
def copied(node: Node, seen: Seen, label: str) -> Iterator[Passing]:
    """A consistent copy of this server's database, on its way.

    Args:
        node: the server.
        seen: what was seen there.
        label: goes into the copy's name there.

    Raises:
        SourceFailed: it cannot be copied, or is damaged.
    """
    argv = ["sh", "-c", _SCRIPT, "sh", _BACKUP, header.plain(label), seen.settings.database_directory, *QUERIES]

    def prepare(output: Output) -> Prepared:
        *answers, size = header.lines(output, len(QUERIES) + 1, _BACKUP_SECONDS, node.name)
        try:
            found = understood(answers)
        except VerificationFailed as error:
            raise SourceFailed(error.message) from None
        see_identity(found.bootstrap, seen)

        def work(incoming: Incoming, write: Write) -> dict[str, Any]:
            copying, came = Copied(incoming, write), 0
            while block := copying.read(_BLOCK):
                came += len(block)
            if str(came) != size.strip():
                raise SourceFailed(f"the copy has {size} bytes on the node, and {came} came")
            return {**asdict(found), "bootstrap": list(found.bootstrap)}

        return work

    with passing(node.open(argv), prepare) as stream:
        yield stream
