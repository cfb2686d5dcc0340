"""A node's own files as one archive: told apart on the way, and written anew so that equal files give equal bytes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from drkit import archive
from drkit.archive import Entry, Kind
from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drkit.archive import Content, Source

_PIECE = 256 * 1024

# What vanishes meanwhile, and what grows, is no failure: tar takes the size that a file had when it was begun.
_SCRIPT = r"""
export LC_ALL=C
extra=$1
shift
count=$#
while [ "$extra" -gt 0 ]; do
    if ! [ -e "$1" ] && ! [ -L "$1" ]; then echo "server_files.extra: $1 is not there" >&2; exit 1; fi
    if ! [ -r "$1" ]; then echo "server_files.extra: $1 cannot be read" >&2; exit 1; fi
    set -- "$@" "$1"
    if [ -L "$1" ]; then set -- "$@" "$(readlink -f "$1")"; fi
    shift
    extra=$((extra - 1)) count=$((count - 1))
done
IFS=
while [ "$count" -gt 0 ]; do
    for each in $1; do if [ -e "$each" ] || [ -L "$each" ]; then set -- "$@" "$each"; fi; done
    shift
    count=$((count - 1))
done
if [ "$#" -eq 0 ]; then echo 'there are no files of k3s here' >&2; exit 1; fi
cd / || exit 1
for each; do set -- "$@" "./${each#/}"; shift; done
if tar --version 2>/dev/null | grep -q GNU; then
    pack() {
        tar --create --file=- --format=gnu --no-recursion --numeric-owner --hard-dereference --ignore-failed-read \
            --null --verbatim-files-from --files-from=-
    }
else
    # busybox; more names than fit into one call are an error, where a second archive behind the first would be none
    pack() { xargs -0 -x -n 100000 -s 1000000 tar -c -f - --no-recursion; }
fi
said=$( { find "$@" '(' -type f -o -type d -o -type l ')' -print0 | sort -zu | pack >&3; } 2>&1 ) 3>&1
status=$?
wrong=$(printf '%s\n' "$said" | grep -v -e '^$' -e 'No such file or directory$' -e 'file changed as we read it$' \
    -e 'File removed before we read it$' -e 'Exiting with failure status' -e 'error exit delayed')
if [ "$wrong" ] || [ "$status" -gt 2 ]; then printf '%s\n' "$wrong" >&2; exit 1; fi
"""


def command(patterns: Sequence[str], extra: Sequence[str]) -> list[str]:
    """The program that prints an archive of a node's files.

    Args:
        patterns: absolute paths whose ``*`` stands for any characters; those that are not there are passed over.
        extra: absolute paths that must be there; directories with all that they hold.
    """
    return ["sh", "-c", _SCRIPT, "sh", str(len(extra)), *extra, *dict.fromkeys(patterns)]


def repack(source: Source, write: Callable[[bytes], object]) -> dict[str, Any]:
    """Write an archive anew, with nothing in it but names, modes, owners and contents.

    Returns:
        What it holds, by path: mode and SHA-256 of files, mode of directories, target of links.

    Raises:
        VerificationFailed: it is damaged, or holds what no node's own tar puts there.
    """
    writer = archive.Writer(write)
    found = {}
    for entry, content in archive.entries(source):
        found[_shown(entry.name)] = _passed(entry, content, writer)
    writer.close()
    return found


def listing(source: Source) -> dict[str, Any]:
    """What an archive holds, as ``repack`` says it.

    Raises:
        VerificationFailed: it is damaged.
    """
    return repack(source, lambda _: None)


def _passed(entry: Entry, content: Content, writer: archive.Writer) -> dict[str, str]:
    match entry.kind:
        case Kind.FILE:
            digest = hashlib.sha256()
            writer.begin(entry, entry.size)
            while block := content.read(_PIECE):
                digest.update(block)
                writer.write(block)
            writer.end(entry.size)
            return {"mode": f"{entry.mode:04o}", "sha256": digest.hexdigest()}
        case Kind.DIRECTORY:
            writer.add(entry)
            return {"mode": f"{entry.mode:04o}"}
        case Kind.SYMLINK:
            writer.add(entry)
            return {"link": _shown(entry.target)}
        case Kind.OTHER:
            raise VerificationFailed(f"{entry.name} is neither file, directory nor symbolic link")


def _shown(name: str) -> str:
    """A name as JSON can hold it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What changed between two listings, as sentences: no content, which may be secret."""
    said = []
    for path in sorted({*before, *after}):
        if path not in after:
            said.append(f"{path} is gone")
        elif path not in before:
            said.append(f"{path} is new")
        elif before[path] != after[path]:
            keys = sorted(key for key in {*before[path], *after[path]} if before[path].get(key) != after[path].get(key))
            said.append(f"{path} has changed ({', '.join(_ASPECTS.get(key, key) for key in keys)})")
    return said


_ASPECTS = {"sha256": "content", "link": "where it leads"}
