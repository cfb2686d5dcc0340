"""One line for people from the JSON document that a command prints. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from drkit.errors import EXIT_CODES
from drkit.observe.text import printable
from drkit.points.descriptor import OK
from drkit.posture.drift import APPLIED, KEPT
from drkit.schedule import jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST = 400
"""Characters."""


def summary(kind: str, status: int, printed: bytes, last_words: str) -> str:
    """What a run came to.

    Args:
        kind: of the job.
        status: its exit code; negative for a signal.
        printed: its standard output, which a broken job may have filled with anything.
        last_words: the end of what it said on stderr.
    """
    document = _document(printed)
    error = document.get("error")
    if isinstance(error, dict) and error.get("message"):
        return _short(str(error["message"]))
    try:
        told = _TOLD.get(kind, _nothing)(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        told = ""
    if status == 0:
        return _short(told or "done")
    if status < 0:
        return _short(f"killed by signal {-status}: {last_words}".rstrip(": "))
    meaning = EXIT_CODES.get(status, "failed")
    return _short(f"{meaning}: {told or last_words}".rstrip(": "))


def _document(printed: bytes) -> dict[str, Any]:
    try:
        found = json.loads(printed)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _backup(document: Mapping[str, Any]) -> str:
    sources = document["point"]["sources"]
    failed = [each["name"] for each in sources if each["status"] != OK]
    said = f"recovery point {document['id']}, {len(sources)} sources"
    return said if document["complete"] else f"{said}; not whole: {', '.join(failed)}"


def _verify(document: Mapping[str, Any]) -> str:
    items = document["looked_at"]
    wrong = [f"{each['what']}: {each['wrong'][0]}" for each in items if each["wrong"]]
    return f"{len(wrong)} of {len(items)} wrong; {'; '.join(wrong)}" if wrong else f"{len(items)} looked at, all well"


def _prune(document: Mapping[str, Any]) -> str:
    vaults = document["vaults"]
    return ", ".join(
        f"{name}: {len(each['removed'])} points removed, {len(each['kept'])} kept" for name, each in vaults.items()
    )


def _harden(document: Mapping[str, Any]) -> str:
    found = document["patches"]
    counted = Counter(each["state"] for each in found)
    said = f"{len(found)} patches and files: " + ", ".join(f"{count} {state}" for state, count in counted.items())
    wrong = [f"{each['object']} {each['state']}" for each in found if each["state"] not in {KEPT, APPLIED}]
    return f"{said}; {', '.join(wrong)}" if wrong else said


def _drills(document: Mapping[str, Any]) -> str:
    bad = [f"{each['scenario']} {each['outcome']}" for each in document["verdicts"] if each["outcome"] != "kept"]
    bad += [f"{each['scenario']} not run" for each in document["unrun"]]
    drills = len(document["verdicts"]) + len(document["unrun"])
    said = f"suite {document['suite']}: {document['outcome']}, {drills} drills"
    return f"{said}; {', '.join(bad)}" if bad else said


def _rehearsal(document: Mapping[str, Any]) -> str:
    return f"restored {document['point']} in {document['rto_seconds']:.0f} s, mode {document['mode']}"


def _nothing(_: Mapping[str, Any]) -> str:
    return ""


_TOLD: dict[str, Callable[[Mapping[str, Any]], str]] = {
    jobs.BACKUP: _backup,
    jobs.VERIFY: _verify,
    jobs.VERIFY_DEEP: _verify,
    jobs.PRUNE: _prune,
    jobs.HARDEN: _harden,
    jobs.DRILLS: _drills,
    jobs.REHEARSAL: _rehearsal,
}
