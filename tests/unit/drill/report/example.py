"""An example of a drill, made up: its entries and the verdict that belongs to them. No measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drkit.drill import record
from drkit.drill.record import FAILED, OK, UNKNOWN, Asked, Begin, Event, Phase
from drkit.drill.values import NOTHING_LOST, ONE_PRIMARY, PROMOTED, RESCHEDULED, Drill, Injection, Probe
from drkit.drill.verdict import (
    BALANCER,
    DETECTION,
    EXCEEDED,
    INVALID,
    KEPT,
    LOST,
    OTHER,
    PROMOTION,
    RECONNECTION,
    FaultSeen,
    Happened,
    Ledger,
    Outage,
    Part,
    Series,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.drill.record import Entry

RUN = "20261122T024500Z-worker-with-primary-down"
SCENARIO = "worker-with-primary-down"
TITLE = "EXAMPLE, made-up figures: the worker with the PostgreSQL primary loses power"
LENGTH = 150.0
FAULT, UNDONE = 30.0, 95.0

PAGE = Probe("page/docfast.example", "http", "https://docfast.example/health", 0.1, 2.0, 15.0)
WRITE = Probe("sql-write/main-db", "sql-write", "10.0.0.3:5432/drkit_drill", 0.2, 2.0, 40.0, session=True)
API = Probe("kube-api/k3s-mgr", "kube-api", "https://10.0.0.2:6443/readyz", 0.2, 2.0, 10.0)
CONTROL = Probe("control", "control", "127.0.0.1", 0.2, 1.0, None)
DRILL = Drill(
    SCENARIO,
    TITLE,
    20.0,
    (PAGE, WRITE, API),
    (Injection("power-off", "k3s-w2", 0.0, 65.0),),
    10,
    120.0,
    (PROMOTED, RESCHEDULED),
    (NOTHING_LOST, ONE_PRIMARY),
)
PREDICTED: dict[str, dict[str, Any]] = {
    PAGE.name: {"seconds": 17.0, "error": 5.0, "parts": [[BALANCER, 16.0], [RECONNECTION, 1.0]]},
    WRITE.name: {"seconds": 27.0, "error": 9.0, "parts": [[DETECTION, 17.5], [PROMOTION, 3.5], [RECONNECTION, 6.0]]},
}
_OUTAGES = {PAGE.name: (30.6, 44.8), WRITE.name: (30.4, 54.2)}


def _outcome(probe: Probe, number: int, due: float) -> str:
    """A page behind two targets fails every other time, a database each time, and what was on its way is unknown."""
    first, end = _OUTAGES.get(probe.name, (0.0, 0.0))
    if not first - 1e-6 <= due < end - 1e-6:
        return OK
    if probe is PAGE and (number * 7919) % 13 < 6 and first < due < end - 0.15:
        return OK
    return UNKNOWN if probe is WRITE and due < first + 1 else FAILED


def asked(probe: Probe, *, session: bool = False) -> Iterator[Asked]:
    """All questions of a probe."""
    for number in range(round(LENGTH / probe.every)):
        due = round(number * probe.every, 6)
        outcome = _outcome(probe, number, due)
        took = (0.004 if session else 0.011) + 0.0007 * ((number * 7919) % 17) + (0.2 if number % 211 == 70 else 0)
        took = 2.0 if outcome != OK else took
        said = "" if outcome == OK else "timeout" if number % 5 else "refused"
        yield Asked(round(due + took, 6), probe.name, number, due, due + 0.0004, outcome, session, said)


def events() -> list[Event]:
    """What changed in the cluster, as a watcher would tell it."""
    seen = [
        (40.8, record.NODE_NOT_READY, "k3s-w2", {}),
        (41.0, record.ENDPOINT_REMOVED, "docfast/web", {"address": "10.42.2.14"}),
        (41.1, record.ENDPOINT_REMOVED, "kube-system/traefik", {"address": "10.42.2.3"}),
        (41.1, record.POD_NOT_READY, "docfast/web-6c5d9-x8v2p", {"node": "k3s-w2"}),
        (41.2, record.POD_NOT_READY, "postgres/main-db-1", {"node": "k3s-w2"}),
        (41.2, record.POD_NOT_READY, "postgres/main-db-pooler-7f9c-2m4bx", {"node": "k3s-w2"}),
        (44.6, record.TARGET_UNHEALTHY, "k3s-w2:443", {}),
        (46.1, record.FAILING_OVER, "postgres/main-db", {"from": "main-db-1", "to": "main-db-2"}),
        (47.9, record.NEW_PRIMARY, "postgres/main-db", {"from": "main-db-1", "to": "main-db-2"}),
        (51.2, record.POD_DELETED, "docfast/web-6c5d9-x8v2p", {"node": "k3s-w2"}),
        (51.9, record.POD_CREATED, "docfast/web-6c5d9-tt7kd", {"node": "k3s-w1"}),
        (56.0, record.POD_READY, "docfast/web-6c5d9-tt7kd", {"node": "k3s-w1"}),
        (103.2, record.NODE_READY, "k3s-w2", {}),
        (107.0, record.TARGET_HEALTHY, "k3s-w2:443", {}),
        (112.4, record.POD_READY, "postgres/main-db-1", {"node": "k3s-w2"}),
    ]
    return [Event(at, what, who, more) for at, what, who, more in seen]


def entries() -> list[Entry]:
    """The whole record, in the order of its times."""
    found: list[Entry] = [*asked(PAGE), *asked(WRITE), *asked(WRITE, session=True), *asked(API), *asked(CONTROL)]
    phases = ((29.2, record.ARMED), (FAULT, record.SENT), (30.4, record.ACKNOWLEDGED), (31.2, record.CONFIRMED))
    found += [Phase(at, 0, phase) for at, phase in phases]
    found += [Phase(94.1, 0, record.UNDOING), Phase(UNDONE, 0, record.UNDONE)]
    begin = Begin(0.0, RUN, "2026-11-22T02:45:00.000Z", DRILL.as_json(), "0", "docfast", lab=True, predicted=PREDICTED)
    return [begin, *sorted([*found, *events()], key=lambda entry: entry.at)]


def _series(probe: Probe, *, session: bool = False) -> Series:
    all_of = list(asked(probe, session=session))
    outages = _outages(probe, all_of)
    longest = outages[0].seconds if outages else 0.0
    expected = PREDICTED.get(probe.name, {})
    return Series(
        probe.name,
        probe.kind,
        probe.where,
        session,
        probe.every,
        probe.window,
        len(all_of),
        sum(each.outcome == FAILED for each in all_of),
        sum(each.outcome == UNKNOWN for each in all_of),
        outages,
        longest,
        None if probe.window is None else round(longest - probe.window, 3),
        0.0009,
        0.009 if session else 0.017,
        0.023,
        expected.get("seconds"),
        expected.get("error"),
    )


def _outages(probe: Probe, all_of: list[Asked]) -> tuple[Outage, ...]:
    if probe.name not in _OUTAGES:
        return ()
    first, end = _OUTAGES[probe.name]
    within = [each for each in all_of if first - 1e-6 <= each.due < end - 1e-6]
    failed = [each for each in within if each.outcome != OK]
    counts = (len(failed), len(within), len(within) - len(failed))
    return (Outage(first, failed[-1].due, end, round(end - first, 3), probe.every, *counts, _PARTS[probe.name]),)


_PARTS = {
    PAGE.name: (
        Part(BALANCER, 30.6, 44.6, "the load balancer took k3s-w2:443 for unhealthy after 3 checks"),
        Part(RECONNECTION, 44.6, 44.8, "first of 10 successes in a row"),
    ),
    WRITE.name: (
        Part(DETECTION, 30.4, 46.1, "node k3s-w2 not ready after 10.8 s; failing over after 16.1 s"),
        Part(PROMOTION, 46.1, 47.9, "main-db-2 promoted"),
        Part(RECONNECTION, 47.9, 52.6, "the pooler answered from 10.42.1.5"),
        Part(OTHER, 52.6, 54.2, "nothing was seen"),
    ),
}


def kept() -> Verdict:
    """Every window kept, nothing lost."""
    series = (_series(PAGE), _series(WRITE), _series(WRITE, session=True), _series(API), _series(CONTROL))
    written = [each for session in (False, True) for each in asked(WRITE, session=session)]
    return Verdict(
        RUN,
        SCENARIO,
        TITLE,
        "docfast",
        "2026-11-22T02:45:00.000Z",
        KEPT,
        (),
        ("CloudNativePG is a stand-in here: its windows prove nothing of the real one",),
        (FaultSeen("power-off", "k3s-w2", FAULT, 30.4, 31.2, UNDONE, "the server is off, says its provider"),),
        (
            Happened(PROMOTED, "main-db-2", 47.9, 17.9),
            Happened(RESCHEDULED, "docfast/web-6c5d9-tt7kd", 51.9, 21.9),
        ),
        series,
        (
            Ledger(
                WRITE.name,
                sum(each.outcome == OK for each in written),
                sum(each.outcome == FAILED for each in written),
                sum(each.outcome == UNKNOWN for each in written),
                unknown_done=2,
                missing=(("main-db-1", 0), ("main-db-2", 0)),
            ),
        ),
        LENGTH,
        DRILL.expect,
        DRILL.hold,
    )


def exceeded() -> Verdict:
    """The page's window was ten seconds."""
    made = kept()
    page = replace(made.series[0], window=10.0, beyond=4.2)
    reasons = (f"{PAGE.name} was out for 14.2 s, more than 10 s",)
    return replace(made, outcome=EXCEEDED, reasons=reasons, series=(page, *made.series[1:]))


def lost() -> Verdict:
    """Three acknowledged writes are on no instance."""
    made = kept()
    ledger = replace(made.ledgers[0], lost=(120, 121, 122), missing=(("main-db-1", 3), ("main-db-2", 3)))
    return replace(made, outcome=LOST, reasons=("3 acknowledged writes were lost",), ledgers=(ledger,))


def invalid() -> Verdict:
    """Nobody saw the fault."""
    made = kept()
    faults = (replace(made.faults[0], observed=None, said="not seen within 20 s"),)
    reasons = ("power-off of k3s-w2 could not be confirmed", "the prober was late: 41 ms at the 99th percentile")
    return replace(made, outcome=INVALID, reasons=reasons, faults=faults)


def month() -> list[Verdict]:
    """Thirteen nights: the page's window was tightened, one run was invalid, one exceeded both windows."""
    lengths = (12.1, 13.4, 11.8, 14.2, 12.9, 31.0, 12.2, 13.8, 12.4, 14.9, 12.0, 13.1, 12.7)
    found = []
    for night, seconds in enumerate(lengths):
        made = invalid() if night == 8 else kept()
        series = list(made.series)
        for place, factor in ((0, 1.0), (1, 1.7)):
            window = 14.0 if place == 0 and night >= 9 else series[place].window or 0.0
            out = replace(series[place].outages[0], seconds=round(seconds * factor, 1))
            beyond = round(out.seconds - window, 3)
            series[place] = replace(series[place], outages=(out,), longest=out.seconds, window=window, beyond=beyond)
        worst = max(each.beyond or 0.0 for each in series[:2])
        outcome = EXCEEDED if worst > 0 and made.outcome == KEPT else made.outcome
        day = f"202611{night + 10:02}T024500Z"
        run, started = f"{day}-{SCENARIO}", f"2026-11-{night + 10:02}T02:45:00.000Z"
        found.append(replace(made, run=run, started=started, outcome=outcome, series=tuple(series)))
    return found
