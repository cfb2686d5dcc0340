"""The prober: ten targets on loopback, each asked fifty times a second over new connections; how late, at what cost.

Real are PostgreSQL and TLS; pages, ports and names are answered by another process. The control probe is an eleventh.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from bench.figures import Figure
from bench.probe_targets import NAME
from bench.tools import ROOT
from drkit import process
from drkit.cluster.kubeconfig import Access, Credentials
from drkit.drill import values
from drkit.drill.probes.ledger import DATABASE, SETUP
from drkit.drill.probes.prober import start
from drkit.drill.probes.wanted import Asking, Control, Dns, Http, KubeApi, Place, Sql, Tcp
from drkit.drill.record import OK, Asked, Recorder, Used, read
from drkit.drill.values import Probe
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.figures import Book
    from bench.world import World
    from drkit.drill.probes.wanted import How

WHAT = "probes"
_EVERY = 0.02
_TIMEOUT = 5.0
_LATEST_MS = 10.0
_MOST_CORES = 0.5
_MILLISECONDS = " ms"


class _Targets(NamedTuple):
    pid: int
    ports: Mapping[str, int]
    certificate: str


@contextmanager
def _targets() -> Iterator[_Targets]:
    with TemporaryDirectory(prefix="drkit-bench-targets-") as directory:
        child = process.spawn(
            [sys.executable, "-m", "bench.probe_targets", directory],
            env=process.clean_environment(),
            stdin=subprocess.PIPE,
            stderr=sys.stderr.fileno(),
            cwd=str(ROOT),
        )
        try:
            assert child.stdout is not None  # noqa: S101 - spawn's default is a pipe
            line = child.stdout.readline()
            if not line:
                raise DrkitError("the targets of the probes do not start")
            certificate = (Path(directory) / "certificate.pem").read_text(encoding="ascii")
            yield _Targets(child.pid, json.loads(line), certificate)
        finally:
            process.stop(child)


def _asked(world: World, targets: _Targets) -> list[Asking]:
    def at(name: str) -> Place:
        return Place("127.0.0.1", targets.ports[name])

    api = Access(f"https://{NAME}:6443", targets.certificate.encode(), "", Credentials())
    sql = Sql(world.postgres.address(DATABASE), "bench")
    hows: list[tuple[str, How]] = [
        (values.HTTP, Http(f"http://{NAME}/health", at("http"))),
        (values.HTTP, Http(f"http://{NAME}/ready", at("http"))),
        (values.HTTP, Http(f"https://{NAME}/health", at("https"), targets.certificate)),
        (values.KUBE_API, KubeApi(api, at("https"))),
        (values.TCP, Tcp(at("echo"))),
        (values.TCP, Tcp(at("echo"), "ping\n", "ping\n")),
        (values.DNS, Dns(at("dns"), "docfast.example", tcp=True)),
        (values.DNS, Dns(at("dns-udp"), "docfast.example")),
        (values.SQL_READ, sql),
        (values.SQL_WRITE, sql),
        (values.CONTROL, Control()),
    ]
    numbers = count(1)
    return [Asking(Probe(f"{kind} {next(numbers)}", kind, NAME, _EVERY, _TIMEOUT, None), how) for kind, how in hows]


def measure(world: World, book: Book, rounds: int, seconds: float) -> None:
    """Ask for so many seconds, in each round.

    Args:
        world: where.
        book: takes the measurements.
        rounds: how often.
        seconds: how long each.
    """
    world.recreate(DATABASE)
    world.execute(DATABASE, *SETUP)
    with _targets() as targets:
        askings = _asked(world, targets)
        meter = world.meter.beside({"targets": targets.pid})
        for number in range(rounds):
            path = world.directory / f"record-{number}"
            measured = meter.watch(partial(_probe, path, askings, seconds))
            book.add(WHAT, "drkit", measured, **_seen(path, len(askings)))


def _probe(path: Path, askings: Sequence[Asking], seconds: float) -> None:
    with Recorder(path, time.monotonic()) as recorder, start(path, recorder.start, askings):
        time.sleep(seconds)  # that is what is measured


def _seen(path: Path, probes: int) -> dict[str, float]:
    """What the record says."""
    entries = list(read(path))
    asked = [each for each in entries if isinstance(each, Asked)]
    used = [each for each in entries if isinstance(each, Used)][-1]
    if len({each.probe for each in asked}) != probes:
        raise DrkitError("some of the probes have asked nothing")
    late = sorted(each.sent - each.due for each in asked)
    latency = sorted(each.at - each.due for each in asked)
    return {
        "questions": len(asked),
        "not_ok": len([each for each in asked if each.outcome != OK]),
        "late_p50_ms": round(1000 * late[len(late) // 2], 3),
        "late_p99_ms": round(1000 * late[len(late) * 99 // 100], 3),
        "late_worst_ms": round(1000 * late[-1], 3),
        "latency_p50_ms": round(1000 * latency[len(latency) // 2], 3),
        "cores": round(used.cpu_seconds / used.wall_seconds, 3),
    }


def figures(book: Book) -> Sequence[Figure]:
    """Lateness and cost."""
    rounds = [each for each in book.raw if each["what"] == WHAT]
    if not rounds:
        return []
    asked = f"probes: 10 targets, 50/s each, {sum(each['not_ok'] for each in rounds)} not ok"
    return [
        Figure(f"{asked}: 99 % leave within", _MILLISECONDS, [each["late_p99_ms"] for each in rounds], _LATEST_MS),
        Figure("probes: half leave within", _MILLISECONDS, [each["late_p50_ms"] for each in rounds]),
        Figure("probes: processor", " cores", [each["cores"] for each in rounds], _MOST_CORES),
    ]
