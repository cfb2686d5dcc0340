"""Embedded etcd: a snapshot that k3s itself takes, streamed out of the node, of which nothing stays there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from drkit.datastore import header, status
from drkit.errors import SourceFailed, VerificationFailed
from drkit.sources.passing import Copied, passing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.node import Node, Output
    from drkit.datastore.bolt import Source
    from drkit.datastore.look import Seen
    from drkit.sources.passing import Passing, Prepared, Write

_SNAPSHOT_SECONDS = 600.0
"""Until k3s has written the snapshot: a few gigabytes, with low priority."""
NOT_HEALTHY = "etcd is not healthy on this server"
"""In the error where that is what is wrong: after the loss of a member the others elect a leader, which passes."""

# A snapshot's name begins with the number of the process that made it: by it the next run knows what a dead one left.
# The snapshot is taken in a command substitution, which is not interrupted, by a k3s that no signal reaches: it may go
# on writing in its server, and only what was written to its end can be removed for good.
_SCRIPT = """
directory=$1 metadata=$2 point=$3 unhealthy=$4
shift 4
umask 077
name=drkit-$$-$point
remove() {
    old=$1
    shift
    k3s etcd-snapshot delete --etcd-s3=false "$@" "$old" >/dev/null 2>&1 </dev/null
    rm -f -- "$directory/$old" "$metadata/$old"
}
remove_all() {
    trap "" TERM HUP INT PIPE
    for each in "$directory/$name"-*; do
        if [ -e "$each" ]; then remove "${each##*/}" "$@"; fi
    done
}
for each in "$directory"/drkit-[0-9]*-*; do
    base=${each##*/}
    number=${base#drkit-}
    number=${number%%-*}
    if [ -e "$each" ] && ! grep -q etcd-snapshot "/proc/$number/cmdline" 2>/dev/null; then remove "$base" "$@"; fi
done
if ! said=$(k3s kubectl --request-timeout=10s get --raw=/readyz/etcd 2>&1 </dev/null); then
    health=$(curl -fsS -m 10 http://127.0.0.1:2381/health 2>&1 || wget -q -T 10 -O - http://127.0.0.1:2381/health 2>&1)
    case $health in
    *'"health":"true"'*) ;;
    *) printf '%s: %s\\n' "$unhealthy" "$said" >&2; exit 1 ;;
    esac
fi
trap 'remove_all "$@"' EXIT
# A signal may come when EXIT has begun to remove: "exit" alone would end the shell before it has.
trap 'remove_all "$@"; exit 143' TERM HUP INT PIPE
said=$(setsid k3s etcd-snapshot save --name "$name" --etcd-s3=false --etcd-snapshot-compress=false "$@" 2>&1 </dev/null)
taken=$?
file=
for each in "$directory/$name"-*; do
    case $each in *.part) ;; *) if [ -f "$each" ]; then file=$each; fi ;; esac
done
if [ "$taken" -ne 0 ] || [ -z "$file" ]; then
    printf 'k3s took no snapshot: %s\\n' "$said" >&2
    exit 1
fi
chmod 600 "$file"
printf '%s\\n' "$(wc -c <"$file")"
cat -- "$file"
"""


@contextmanager
def snapshot(node: Node, seen: Seen, label: str) -> Iterator[Passing]:
    """A snapshot of this server's etcd, on its way.

    Args:
        node: the server.
        seen: what was seen there.
        label: goes into the snapshot's name there.

    Raises:
        SourceFailed: its etcd is not healthy, or k3s takes none.
    """
    settings = seen.settings
    directory = settings.snapshot_directory or f"{settings.database_directory}/snapshots"
    where = [f"--data-dir={settings.data_directory}"] if settings.moved else []
    where += [f"--etcd-snapshot-dir={directory}"] if settings.snapshot_directory else []
    metadata = f"{directory}/../.metadata"
    argv = ["sh", "-c", _SCRIPT, "sh", directory, metadata, header.plain(label), NOT_HEALTHY, *where]

    def prepare(output: Output) -> Prepared:
        (size,) = header.lines(output, 1, _SNAPSHOT_SECONDS, node.name)
        return lambda incoming, write: examined(incoming, write, int(size) if size.isdigit() else -1, seen)

    with passing(node.open(argv), prepare) as stream:
        yield stream


def examined(incoming: Source, write: Write, size: int, seen: Seen) -> dict[str, Any]:
    """Pass a snapshot of ``size`` bytes (below 0: unknown) on, and say what it is.

    Raises:
        SourceFailed: it is not whole, or cannot be restored with the cluster's token.
    """
    counting = _Counting(Copied(incoming, write))
    try:
        found = asdict(status.facts(counting))
    except VerificationFailed as error:
        raise SourceFailed(error.message) from None
    if size >= 0 and counting.size != size:
        raise SourceFailed(f"the snapshot has {size} bytes on the node, and {counting.size} came")
    see_identity(found["bootstrap"], seen)
    return {**found, "bootstrap": list(found["bootstrap"])}


def see_identity(found: tuple[str, ...], seen: Seen) -> None:
    """See that a copy of the datastore holds the identity that the cluster's token opens.

    Raises:
        SourceFailed: it does not: nobody could restore it.
    """
    if seen.bootstrap_key not in found:
        raise SourceFailed(
            "the datastore does not hold the identity that the server's token opens: it could not be restored with it",
            f"compare {seen.settings.server_directory}/token with the token that k3s runs with",
        )


class _Counting:
    def __init__(self, source: Copied) -> None:
        self._source = source
        self.size = 0

    def read(self, size: int) -> bytes:
        block = self._source.read(size)
        self.size += len(block)
        return block
