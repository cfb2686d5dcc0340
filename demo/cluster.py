"""The acts with a whole cluster, in order."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from demo.lab import Lab
from demo.play import ActFailed, Play

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_VERIFICATION_FAILED = 13
_DOCUMENTS = 3
_CREATED = 201
_FLIP = """
import pathlib, sys
segments = [path for path in pathlib.Path(sys.argv[1]).glob("**/data/*/*") if path.is_file()]
largest = max(segments, key=lambda path: path.stat().st_size)
position = largest.stat().st_size // 2
with largest.open("r+b") as file:
    file.seek(position)
    was = file.read(1)[0]
    file.seek(position)
    file.write(bytes([was ^ 0xFF]))
print(largest, position)
"""

CHANGES = (
    ("kubectl", "-n", "docfast", "create", "configmap", "opening-hours", "--from-literal=sunday=closed"),
    ("kubectl", "-n", "docfast", "delete", "template", "letter"),
    ("kubectl", "-n", "docfast", "scale", "deployment", "docfast", "--replicas=3"),
)
EXPECTED = {
    ("manifests", "configmaps docfast/opening-hours", "added", None, None),
    ("manifests", "docfast.dev/templates docfast/letter", "removed", None, None),
    ("manifests", "apps/deployments docfast/docfast spec.replicas", "changed", "2", "3"),
    ("database/postgres/main-db/docfast", "table public.web_document", "changed", 0, _DOCUMENTS),
}
"""What ``points diff`` has to say of the changes, and nothing else of objects and tables."""


@dataclass
class ClusterPlay(Play[Lab]):
    """What the acts hand on to each other."""

    found: dict[str, Any] = field(default_factory=dict)


def set_up(play: ClusterPlay) -> None:
    """The lab."""
    with play.act("A cluster of three nodes in containers, with databases, applications and a Storage Box") as act:
        play.drkit("lab", "up", "--name", play.stage.name, "--workload")
        play.found = play.stage.ask("lab", "status", "--name", play.stage.name)
        play.terminal.line("drkit.yaml, as the lab wrote it:")
        play.terminal.listing((play.stage.files / "drkit.yaml").read_text(encoding="utf-8"))
        if not play.found["workload"]["healthy"]:
            raise ActFailed(f"the workload is not healthy: {play.found['workload']['problems']}")
        act.proven = "nodes Ready, PostgreSQL's two instances healthy, the application answers"


def check(play: ClusterPlay) -> None:
    """Every connection."""
    with play.act("Is everything in place?") as act:
        play.drkit("check")
        act.proven = "vaults, nodes, API: all answer"


def first_backup(play: ClusterPlay) -> None:
    """The first recovery point."""
    with play.act("The whole cluster in the vault") as act:
        play.drkit("backup")
        act.proven = "datastore, files, objects, databases, topology: sealed as one recovery point"


def second_backup(play: ClusterPlay) -> None:
    """Changes, and the second recovery point."""
    with play.act("Somebody changes things") as act:
        for words in CHANGES:
            play.terminal.command(" ".join(words))
            play.terminal.line(play.stage.in_container("server-1", ("k3s", *words)).strip())
        for number in range(_DOCUMENTS):
            _post(play, f"Brief {number}")
        play.terminal.line(f"{_DOCUMENTS} documents written through the load balancer and the application")
        seconds = play.drkit("backup")
        act.proven = f"a second recovery point, in {seconds:.1f} s"


def differences(play: ClusterPlay) -> None:
    """What changed, compared with what was changed."""
    with play.act("What changed?") as act:
        play.drkit("points", "diff")
        changes = play.stage.ask("points", "diff")["changes"]
        told = {(each["source"], each["what"], each["change"], each["before"], each["after"]) for each in changes}
        told = {each for each in told if each[0] == "manifests" or each[1].startswith("table ")}
        if told != EXPECTED:
            raise ActFailed(f"missing: {EXPECTED - told}; too much: {told - EXPECTED}")
        act.proven = "exactly what was changed, object by object and table by table"


def verify(play: ClusterPlay) -> None:
    """A restore into scratch, compared."""
    with play.act("Can it be restored? Tried, not believed") as act:
        play.drkit("verify", "--deep")
        act.proven = "databases restored into scratch and equal, snapshot opened, every object accepted"


def rehearse(play: ClusterPlay) -> None:
    """Every node lost, and the cluster brought back: the main act."""
    with play.act("The disaster: every node is lost, and one command brings the cluster back") as act:
        play.drkit("lab", "rehearse", "--name", play.stage.name, "--keep")
        reports = sorted((play.stage.directory / "state/drkit/reports").rglob("*.json"))
        report = json.loads(reports[-1].read_text(encoding="utf-8"))
        if not report["proofs_equal"]:
            raise ActFailed("the report says that proofs differ")
        act.proven = f"new servers, the same data behind load balancer and name, {report['rto_seconds']:.0f} s"


def corrupt(play: ClusterPlay) -> None:
    """One byte on the box."""
    with play.act("A check that cannot fail proves nothing") as act:
        home = play.stage.in_container("box", ("sh", "-c", "echo /home/*")).split()
        where = play.stage.in_container("box", ("python3", "-c", _FLIP, *home[:1])).split()
        play.terminal.line(f"one byte changed on the box: {where[0]}, byte {int(where[1]):,}", "red")
        play.drkit("verify", expected=_VERIFICATION_FAILED)
        act.proven = f"found, exit code {_VERIFICATION_FAILED}"


ALL: Sequence[Callable[[ClusterPlay], None]] = (
    set_up,
    check,
    first_backup,
    second_backup,
    differences,
    verify,
    rehearse,
    corrupt,
)


def _post(play: ClusterPlay, text: str) -> None:
    connection = http.client.HTTPConnection(play.found["load_balancer"]["address"], 80, timeout=10)
    site = f"docfast.{play.found['dns']['zone']}"
    connection.request("POST", "/documents", text, {"Host": site, "Key": text.replace(" ", "-")})
    status = connection.getresponse().status
    if status != _CREATED:
        raise ActFailed(f"the application answered {status} to a new document")
