"""What Borg's exit status and last words mean, as pure functions.

The codes are those of ``BORG_EXIT_CODES=modern`` (Borg 1.4, "Return codes"): 0 success, 1 to 99 errors,
100 to 127 warnings. ssh's own words come through Borg's log as ``Remote: …``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from drkit import errors
from drkit.process import tail

WARNINGS = range(100, 128)


@dataclass(frozen=True)
class _Rule:
    """One meaning: it applies to these statuses, or where one of these signs stands in Borg's or ssh's words."""

    error: type[errors.DrkitError]
    says: str
    hint: str
    statuses: frozenset[int] = frozenset()
    signs: tuple[str, ...] = ()

    def applies(self, status: int, text: str) -> bool:
        return status in self.statuses or any(sign in text for sign in self.signs)


_RULES = (
    # Room first: the far side reports it as a broken call, with whatever status.
    _Rule(
        errors.VaultFull,
        "is full",
        "make room (`drkit prune`), or enlarge it; nothing half-written is kept",
        frozenset({14, 20}),
        ("No space left on device", "Errno 28", "Disk quota exceeded", "StorageQuotaExceeded", "InsufficientFreeSpace"),
    ),
    _Rule(
        errors.HostKeyError,
        "has another host key than known_hosts",
        "compare the fingerprints: drkit check",
        signs=("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "host key is known for"),
    ),
    _Rule(
        errors.WrongKey,
        "is not opened by the passphrase or key",
        "check the vault's passphrase in drkit.yaml; where its rotation was cut short, run that again",
        frozenset({40, 41, 42, 43, 44, 45, 47, 50, 51, 52, 53}),
    ),
    _Rule(
        errors.VaultLocked,
        "is locked by another process",
        "wait for it, or raise lock_wait; only if its holder is surely dead: borg break-lock",
        frozenset({70, 71, 72, 73}),
    ),
    _Rule(
        errors.VaultUnreachable,
        "refused the login",
        "check the vault's ssh.key and the far side's authorized_keys",
        signs=("Permission denied (", "Too many authentication failures"),
    ),
    _Rule(
        errors.VaultUnreachable,
        "cannot be reached",
        "check address, port and network, then: drkit check",
        signs=(
            "Connection refused",
            "Could not resolve hostname",
            "No route to host",
            "Network is unreachable",
            "timed out",
            "Connection reset by",
            "kex_exchange_identification",
        ),
    ),
    _Rule(
        errors.ConnectionCut,
        "lost the connection",
        "check the network, then run it again",
        frozenset({80, 81, 87}),
        ("Connection closed by remote host",),
    ),
    _Rule(
        errors.NoSuchPoint,
        "does not hold an archive that it should",
        "list what there is: drkit points; look at the vault: drkit verify",
        frozenset({31}),
    ),
    _Rule(
        errors.NoRepository,
        "holds no Borg repository",
        "check the path; the first `drkit backup` makes the repository",
        frozenset({13, 15, 18}),
    ),
    _Rule(
        errors.RepositoryExists,
        "holds a Borg repository already",
        "it can be used: drkit backup",
        frozenset({10}),
    ),
    _Rule(
        errors.VerificationFailed,
        "is damaged",
        "keep a copy of it, then look with: borg check --verify-data",
        frozenset({12, 17, 64, *range(90, 100)}),
    ),
)
"""What Borg's endings mean; the first that applies counts."""


def read_log(stderr: str) -> str:
    """The messages in a ``--log-json`` stream; lines that are not JSON (argument errors, ssh) are kept as they are."""
    lines: list[str] = []
    for line in stderr.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            lines.append(line)
            continue
        if isinstance(record, dict) and str(record.get("type", "")).startswith("log_message"):
            lines += [str(record.get("msgid") or ""), *str(record.get("message", "")).splitlines()]
    return "\n".join(line for line in lines if line)


def succeeded(status: int) -> bool:
    """Whether Borg did what it was asked; warnings are for things that happened beside it."""
    return status == 0 or status in WARNINGS


def interpret(vault: str, url: str, status: int, stderr: str) -> errors.DrkitError:
    """The error that fits a failed call.

    Args:
        vault: the vault's name in the configuration.
        url: its address.
        status: Borg's exit status.
        stderr: what it printed there.
    """
    words = read_log(stderr)
    last = tail(words)
    for rule in _RULES:
        if rule.applies(status, words):
            return rule.error(f"vault {vault} ({url}) {rule.says}\n{last}".rstrip(), rule.hint)
    return errors.DrkitError(f"vault {vault} ({url}): borg ended with status {status}\n{last}")
