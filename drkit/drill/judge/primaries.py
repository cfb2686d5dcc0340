"""Whether two servers acknowledged writes at once: from who acknowledged what, when, and on which timeline. Pure.

Every promotion raises PostgreSQL's timeline. So there were two primaries where

- a server acknowledged a write that was sent after another had acknowledged one on a newer timeline, or
- two servers acknowledged in turn on one timeline: one, the other, and the first again.

Only writes that did not overlap in time prove that: when a write was done between its leaving and its answer is not
known. One server after another on one timeline is none: a primary that was started again has a new address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.judge.finding import length

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.drill.judge.collected import Write


def two_primaries(acknowledged: Sequence[Write]) -> str:
    """What shows that there were two; empty where nothing does.

    Args:
        acknowledged: writes, in the order in which they were sent; those that name no server show nothing.
    """
    known = [each for each in acknowledged if each.server]
    answered = sorted(known, key=lambda each: (each.at, each.sent, each.row))
    return _behind(known, answered) or _in_turn(known, answered)


def _behind(sent: Sequence[Write], answered: Sequence[Write]) -> str:
    newest: Write | None = None
    place = 0
    for late in sent:
        while place < len(answered) and answered[place].at <= late.sent:
            if newest is None or (answered[place].timeline or 0) > (newest.timeline or 0):
                newest = answered[place]
            place += 1
        if late.timeline is not None and newest is not None and late.timeline < (newest.timeline or 0):
            return (
                f"{late.server} acknowledged row {late.row} on timeline {late.timeline} at {length(late.at)},"
                f" after {newest.server} had acknowledged row {newest.row} on timeline {newest.timeline}"
                f" at {length(newest.at)}"
            )
    return ""


def _in_turn(sent: Sequence[Write], answered: Sequence[Write]) -> str:
    first: dict[tuple[int | None, str], Write] = {}
    """The first acknowledgement of each server on each timeline."""
    latest: dict[int | None, dict[str, Write]] = {}
    """On each timeline: of each server, of what was acknowledged by now, what was sent last."""
    for each in answered:
        first.setdefault((each.timeline, each.server), each)
    place = 0
    for again in sent:
        while place < len(answered) and answered[place].at <= again.sent:
            done = answered[place]
            by_server = latest.setdefault(done.timeline, {})
            if done.server not in by_server or by_server[done.server].sent < done.sent:
                by_server[done.server] = done
            place += 1
        begun = first[again.timeline, again.server]
        for other in latest.get(again.timeline, {}).values():
            if other.server != again.server and begun.at <= other.sent:
                return (
                    f"{begun.server} and {other.server} acknowledged in turn on timeline {again.timeline}: rows"
                    f" {begun.row}, {other.row} and {again.row} at {length(begun.at)}, {length(other.at)}"
                    f" and {length(again.at)}"
                )
    return ""
