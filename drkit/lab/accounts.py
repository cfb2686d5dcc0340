"""The Storage Box's accounts: who is let in, with which key, for what. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

BORG = "borg-1.4"
"""What a Storage Box calls Borg 1.4. A forced command decides alone: the client's ``--remote-path`` is ignored."""


@dataclass(frozen=True)
class Account:
    """A sub-account of the box, with a home of its own.

    Args:
        user: its name.
        quota: the most that each of its repositories may take, as ``borg serve --storage-quota`` reads it.
    """

    user: str
    quota: str

    @property
    def home(self) -> str:
        """Where its repositories are."""
        return f"/home/{self.user}"

    def url(self, address: str, port: int, repository: str) -> str:
        """The address of one of its repositories."""
        return f"ssh://{self.user}@{address}:{port}/./{repository}"

    def authorized_keys(self, append_only: str, full: str) -> str:
        """Its authorized_keys file.

        Args:
            append_only: the public key that backs up: it adds, and what it deletes is not gone.
            full: the public key that prunes and compacts.
        """
        return self._line(append_only, "--append-only") + self._line(full)

    def _line(self, public_key: str, *options: str) -> str:
        serve = [BORG, "serve", *options, "--restrict-to-path", self.home, "--storage-quota", self.quota]
        return f'restrict,command="{shlex.join(serve)}" {public_key.strip()}\n'


BACKUP = Account("u1-sub1", "20G")
"""The account of the lab's own ``drkit.yaml``."""

SMALL = Account("u1-sub2", "10M")
"""An account that is soon full, to rehearse that."""

ACCOUNTS = (BACKUP, SMALL)
