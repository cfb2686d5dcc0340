"""A volume's files as one archive, by its node's own GNU tar: sparse files, hard links, attributes, owners, times.

What tar prints is stored as it is: written anew, a file with holes would come back without them and not fit its disk.
Its form is POSIX.1-2001's, in names' order and without the times of reading, so that equal files give equal bytes;
``tarfile`` reads it on its way, and nothing of it is ever unpacked here.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader
    from typing import IO

    from drkit.archive import Source

_PIECE = 256 * 1024
_ATTRIBUTES = ("SCHILY.xattr.", "SCHILY.acl.", "RHT.security.")
_SHOWN = 20

# Files that vanish or grow meanwhile are no failure: what is written to all the time is read as it is. Sockets are
# nothing that could be kept. SELinux's labels belong to the machine.
_TAR_OPTIONS = (
    "--format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --sort=name --numeric-owner"
    " --sparse --xattrs --xattrs-include=* --xattrs-exclude=security.selinux --acls --one-file-system"
    " --ignore-failed-read"
)
_GNU = r"""
export LC_ALL=C
set -f
if ! tar --version 2>/dev/null | grep -q GNU; then echo "a volume's files need GNU tar on its node" >&2; exit 1; fi
if [ -L "$1" ] || ! cd -- "$1"; then echo "$1 is no directory that can be read" >&2; exit 1; fi
"""
_READ = (
    _GNU
    + rf"""
said=$( {{ tar --create --file=- {_TAR_OPTIONS} . >&3; }} 2>&1 ) 3>&1
status=$?
wrong=$(printf '%s\n' "$said" | grep -v -e '^$' -e 'No such file or directory$' -e 'file changed as we read it$' \
    -e 'File removed before we read it$' -e 'File shrank by [0-9]* bytes*; padding with zeros$' -e 'socket ignored$' \
    -e 'Exiting with failure status' -e 'error exit delayed')
if [ "$wrong" ] || [ "$status" -gt 2 ]; then printf '%s\n' "$wrong" | head -c 4000 >&2; exit 1; fi
"""
)
_CHANGED = r"""
export LC_ALL=C
cd -- "$1" && find . -xdev '(' -newermt "@$2" -o -newerct "@$2" ')' ! -type d -print0 | head -c 100000
"""
# A note beside the directory says that what is in it is of an attempt that was cut short: only that may be removed.
_FILL = (
    _GNU
    + r"""
if [ -e "$2.begun" ]; then find . -xdev -mindepth 1 -delete || exit 1; fi
if [ "$(find . -mindepth 1 -print -quit)" ]; then echo "$1 holds files already, which are not touched" >&2; exit 1; fi
: >"$2.begun" || exit 1
tar --extract --file="$2" --numeric-owner --same-owner --same-permissions --xattrs --xattrs-include='*' --acls \
    --delay-directory-restore && sync -f . && rm -f -- "$2" "$2.begun"
"""
)


def command(path: str) -> list[str]:
    """The program that prints an archive of all that is below a directory, in one file system."""
    return ["sh", "-c", _READ, "sh", path]


def changed(path: str, since: str) -> list[str]:
    """The program that prints the files that were changed since then, in seconds of the epoch, a NUL after each."""
    return ["sh", "-c", _CHANGED, "sh", path, since]


def fill(path: str, archive: str) -> list[str]:
    """The program that unpacks an archive into an empty directory, and removes the archive.

    Killed and run again it begins anew. What is there that it did not put there is an error.

    Args:
        path: the directory.
        archive: a file on the same node.
    """
    return ["sh", "-c", _FILL, "sh", path, archive]


@dataclass(frozen=True)
class Listing:
    """What an archive holds.

    Attributes:
        entries: by name, a SHA-256 over all that is known of each: kind, mode, owner, time, attributes, content.
        files: how many of them are files with a content of their own.
        size: bytes of these, holes included.
    """

    entries: Mapping[str, bytes]
    files: int
    size: int

    @property
    def digest(self) -> str:
        """SHA-256 over all of it, whatever the order."""
        whole = hashlib.sha256()
        for name, digest in sorted(self.entries.items()):
            whole.update(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() + digest)
        return whole.hexdigest()

    def details(self) -> dict[str, Any]:
        """For a descriptor."""
        return {"files": self.files, "bytes": self.size, "entries": len(self.entries), "digest": self.digest}


def listing(source: Source) -> Listing:
    """Read an archive to its end.

    Raises:
        VerificationFailed: it is damaged, or holds what tar's reading of a directory never does.
    """
    entries: dict[str, bytes] = {}
    files = size = 0
    try:
        with tarfile.open(
            fileobj=cast("IO[bytes]", _File(source)), mode="r|", encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for member in _members(archive):
                name = _name(member)
                if name in entries:
                    raise VerificationFailed(f"the archive holds {name!r} twice")
                content = archive.extractfile(member) if member.isreg() else None
                entries[name] = _digest(member, cast("BufferedReader | None", content))
                files, size = files + member.isreg(), size + (member.size if member.isreg() else 0)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise VerificationFailed(f"not a tar archive, or a damaged one: {error}") from None
    while source.read(_PIECE):
        pass
    if "." not in entries:
        raise VerificationFailed("the archive is not that of a directory")
    return Listing(entries, files, size)


class _File:
    """A source as ``tarfile`` reads it: a read may be short, and never more than what is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int) -> bytes:
        return self._source.read(size)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        yield member
        archive.members = []  # type: ignore[attr-defined]  # it would keep all of them, and is not asked for any again


def _name(member: tarfile.TarInfo) -> str:
    """Its name, below the volume.

    Raises:
        VerificationFailed: it leads elsewhere.
    """
    if member.name == ".":
        return "."
    plain = member.name.removeprefix("./").removesuffix("/" if member.isdir() else "")
    if any(part in {"", ".", ".."} for part in plain.split("/")) or "\0" in plain:
        raise VerificationFailed(f"the archive has an entry with the name {member.name!r}, which is unsafe")
    return plain


def _digest(member: tarfile.TarInfo, content: BufferedReader | None) -> bytes:
    known: dict[str, Any] = {
        "type": tarfile.REGTYPE.decode() if member.isreg() else member.type.decode("ascii", "replace"),
        "mode": member.mode,
        "owner": [member.uid, member.gid],
        "time": member.pax_headers.get("mtime", str(member.mtime)),
        "attributes": {key: value for key, value in member.pax_headers.items() if key.startswith(_ATTRIBUTES)},
    }
    if member.islnk() or member.issym():
        known["target"] = member.linkname
    if member.ischr() or member.isblk():
        known["device"] = [member.devmajor, member.devminor]
    if content is not None:
        known["content"], known["size"] = _content(member, content), member.size
    text = json.dumps(known, sort_keys=True).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).digest()


def _content(member: tarfile.TarInfo, content: BufferedReader) -> str:
    """A digest of what a file reads as: of its blocks that are not all zeros, with their places.

    A hole costs nothing so, and a file with holes is equal to one that has zeros there.
    """
    whole = hashlib.sha256()
    at = 0
    whole_map = [(0, member.size)]
    for offset, size in cast("list[tuple[int, int]]", member.sparse) if member.issparse() else whole_map:
        for place in range(max(at, offset - offset % _PIECE), offset + size, _PIECE):
            # Its buffer asks whether the archive can be gone back in, which only goes on: so past the buffer.
            content.raw.seek(place, 0)
            block = content.raw.read(_PIECE) or b""
            if block.strip(b"\0"):
                whole.update(b"%d:" % place + block)
            at = place + _PIECE
    return whole.hexdigest()


def differences(before: Listing, after: Listing) -> list[str]:
    """What is not as it was, as sentences, the first of them by name."""
    said = []
    for name in sorted({*before.entries, *after.entries}):
        if before.entries.get(name) != after.entries.get(name):
            how = "is missing" if name not in after.entries else "is new" if name not in before.entries else "differs"
            said.append(f"{shown(name)} {how}")
    more = [f"and {len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
    return [*said[:_SHOWN], *more]


def shown(name: str) -> str:
    """A name as JSON and people can have it."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
