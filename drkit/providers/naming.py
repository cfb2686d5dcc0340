"""Names and labels of what a restore makes. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from typing import TYPE_CHECKING, Any

from drkit.clock import from_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

MADE_BY = "drkit-restore"
"""On everything that a restore made: its id. What carries it, and nothing else, is removed with the restore."""
CHANGED_BY = "drkit-changed"
"""On what was there, and was changed: the restore's id. ``BEFORE`` beside it says what it was like."""
BEFORE = "drkit-before"
EXPIRES = "drkit-expires"
"""On what a rehearsal made: when that is over, as seconds since 1970 in UTC; a label's value takes no colons."""
STANDS_FOR = "drkit-node"
"""On a server: the name of the node that it stands for."""

_OURS = "drkit-"

LONGEST_NAME = 63
"""Of a host (RFC 1123), and of a label's value."""
_DIGITS = 6
_SUFFIX = re.compile(rf"(.+)-r[0-9a-f]{{{_DIGITS}}}")
_CHUNK = LONGEST_NAME - 2
_EDGE = "v"
"""Before and after each chunk: a label's value begins and ends with a letter or digit, which base64 need not."""


def short(restore_id: str) -> str:
    """A restore's id in a few digits, for names."""
    return hashlib.sha256(restore_id.encode()).hexdigest()[:_DIGITS]


def new_names(old: Collection[str], restore_id: str, *, replace: bool) -> dict[str, str]:
    """What the servers are called that stand for nodes of these names; no two are alike.

    Names are unique in a project, and the dead cluster's servers still have theirs: ``k3s-w1`` becomes
    ``k3s-w1-r<six digits>``, and after a second restore not ``k3s-w1-r…-r…``.

    Args:
        old: the nodes' names, which are hosts' names (RFC 1123).
        restore_id: of the restore.
        replace: whether they take over the old names.
    """
    if replace:
        return {name: name for name in old}
    stems = {name: _stem(name) for name in old}
    shared = list(stems.values())
    return {
        # The stem only where it can be no other's: neither is it one's name, nor do two have it.
        name: _fitting(stem if stem not in old and shared.count(stem) == 1 else name, f"-r{short(restore_id)}")
        for name, stem in stems.items()
    }


def _stem(name: str) -> str:
    """A name without what an earlier restore added."""
    found = _SUFFIX.fullmatch(name)
    return found[1] if found else name


def _fitting(base: str, suffix: str) -> str:
    room = LONGEST_NAME - len(suffix)
    if len(base) <= room:
        return base + suffix
    # Cut off: a digest of the whole tells which one it was.
    digest = hashlib.sha256(base.encode()).hexdigest()[:_DIGITS]
    return f"{base[: room - _DIGITS - 1].rstrip('-.')}-{digest}{suffix}"


def put_aside(name: str, restore_id: str) -> str:
    """What a server of the old cluster is called whose name a new one took over."""
    suffix = f"-old-{short(restore_id)}"
    return name[: LONGEST_NAME - len(suffix)].rstrip("-.") + suffix


def made(restore_id: str, labels: Mapping[str, str] | None = None, expires: str = "") -> dict[str, str]:
    """The labels of something that a restore makes, beside those that it shall have anyway.

    Args:
        restore_id: of the restore.
        labels: those.
        expires: when it is over, where the restore is a rehearsal (RFC 3339, UTC).
    """
    until = {EXPIRES: f"{from_text(expires).timestamp():.0f}"} if expires else {}
    return {**without_marks(labels or {}), MADE_BY: restore_id, **until}


def outlived(found: Iterable[Mapping[str, str]], now: datetime) -> tuple[str, ...]:
    """The ids of rehearsals of which all that is there is over.

    Args:
        found: the labels of each thing; what has none of ``made``'s is passed over.
        now: the time.
    """
    ends: dict[str, float] = {}
    for labels in found:
        restore, until = labels.get(MADE_BY), labels.get(EXPIRES, "")
        if restore:
            end = int(until) if until.isascii() and until.isdigit() else math.inf
            ends[restore] = max(end, ends.get(restore, 0.0))
    return tuple(sorted(restore for restore, end in ends.items() if end <= now.timestamp()))


def changed(restore_id: str, labels: Mapping[str, str], before: Any) -> dict[str, str]:
    """The labels of something that is there and is about to be changed.

    Args:
        restore_id: who changes it.
        labels: what it carries now.
        before: what it is like now, as JSON; it comes back from ``remembered``.
    """
    text = base64.urlsafe_b64encode(json.dumps(before, separators=(",", ":")).encode()).decode().rstrip("=")
    chunks = [text[begin : begin + _CHUNK] for begin in range(0, len(text), _CHUNK)]
    numbered = {f"{BEFORE}-{number:02}": f"{_EDGE}{chunk}{_EDGE}" for number, chunk in enumerate(chunks)}
    return {**unchanged(labels), CHANGED_BY: restore_id, **numbered}


def unchanged(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of something that was put back: without what ``changed`` added."""
    return {key: value for key, value in labels.items() if key != CHANGED_BY and not key.startswith(f"{BEFORE}-")}


def remembered(labels: Mapping[str, str]) -> Any:
    """What ``changed`` was told was there before."""
    chunks = [labels[key][1:-1] for key in sorted(labels) if key.startswith(f"{BEFORE}-")]
    text = "".join(chunks)
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def without_marks(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without any of drkit's own: what a new thing takes over from an old one."""
    return {key: value for key, value in labels.items() if not key.startswith(_OURS)}
