"""A custom-format dump into an empty database in three sections, as pg_restore has them, each as fast as it goes.

Definitions first, then the rows, then indexes, constraints and privileges through ``pg_restore --jobs``. That takes
more than one transaction: what comes of a restore that is cut short is thrown away by ``drkit.restore.aside``.

The archive passes once. Definitions of every section stand at its head, before any rows; the head is kept, in memory,
for the last section.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFINITIONS = ("--section=pre-data", "--no-privileges")
ROWS = ("--section=data",)
LATER = ("--section=post-data", "--no-privileges")
"""pg_restore's arguments for each section. Privileges come last of all: an owner may have given up their own."""
_PRIVILEGES = re.compile(r"^\d+; \d+ \d+ (DEFAULT )?ACL ")
"""Entries of ``pg_restore --list`` that give or take rights."""


class Rows(Protocol):
    """Takes an archive and loads its rows."""

    def write(self, block: bytes) -> None:
        """Take the next bytes. Raises ``RestoreFailed``."""
        ...

    def finish(self) -> None:
        """See that it ended well. Raises ``RestoreFailed`` where it did not."""
        ...

    def stop(self) -> None:
        """End it in any case."""
        ...


class Definitions(Rows, Protocol):
    """Takes as much of an archive as it needs."""

    def offer(self, block: bytes) -> bool:
        """Take the next bytes; false where it has what it needs and ended well. Raises ``RestoreFailed``."""
        ...


class Sections(Protocol):
    """pg_restore, section by section, where it runs."""

    def definitions(self) -> Definitions:
        """Start with ``DEFINITIONS``."""
        ...

    def rows(self) -> Rows:
        """Start with ``ROWS``."""
        ...

    def later(self, head: bytes) -> None:
        """Do what is left, by the archive's head; see ``remaining``. Raises ``RestoreFailed``."""
        ...


def remaining(later: Sequence[str], everything: Sequence[str]) -> list[str]:
    """The lines of the list by which pg_restore does what is left. Pure.

    Args:
        later: what ``pg_restore --list`` says with ``LATER``.
        everything: what it says without.
    """
    listed = [line for line in later if line[:1].isdigit()]
    return [*listed, *filter(_PRIVILEGES.match, everything)]


class SectionLoad:
    """Takes an archive in blocks; ``finish`` says that the database is whole."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self._cleanup = ExitStack()
        self._head: list[bytes] = []
        self._definitions: Definitions | None = sections.definitions()
        self._cleanup.callback(self._definitions.stop)
        self._rows: Rows | None = None

    def write(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            RestoreFailed: the server or pg_restore refused something.
        """
        if self._rows is not None:
            self._rows.write(block)
            return
        assert self._definitions is not None  # noqa: S101 - one of the two there is
        self._head.append(block)
        if not self._definitions.offer(block):
            self._begin_rows()

    def finish(self) -> None:
        """Load what remains, and see that everything ended well.

        Raises:
            RestoreFailed: it did not.
        """
        if self._rows is None:  # all of the archive was taken before its definitions were made
            assert self._definitions is not None  # noqa: S101 - one of the two there is
            self._definitions.finish()
            self._begin_rows()
        assert self._rows is not None  # noqa: S101 - begun above, or before
        self._rows.finish()
        self._sections.later(b"".join(self._head))

    def stop(self) -> None:
        """End it in any case."""
        self._cleanup.close()

    def _begin_rows(self) -> None:
        """From here on the blocks are rows; those that came with the definitions go first."""
        self._definitions = None
        self._rows = self._sections.rows()
        self._cleanup.callback(self._rows.stop)
        for block in self._head:
            self._rows.write(block)


@contextmanager
def loader(sections: Sections) -> Iterator[SectionLoad]:
    """A load into a database that is empty and that nobody else uses."""
    load = SectionLoad(sections)
    try:
        yield load
    finally:
        load.stop()
