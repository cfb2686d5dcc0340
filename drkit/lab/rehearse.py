"""``drkit lab rehearse``: a cluster is filled, backed up, lost, and brought back by the commands that a user has.

The lab is seen as a Hetzner Cloud project through the stand-in for its API, which runs in this process, and makes the
new servers as containers.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import DrkitError, RestoreFailed
from drkit.lab import containers, resolve
from drkit.lab import up as labs
from drkit.lab.files import HCLOUD_TOKEN, TARGET, files_of
from drkit.lab.hcloud.seed import serving_lab
from drkit.lab.topology import Role
from drkit.lab.workload import images
from drkit.lab.workload.deploy import image_names
from drkit.lab.workload.manifests import SITES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

    from drkit.lab.files import LabFiles
    from drkit.lab.hcloud.serve import StandIn
    from drkit.lab.spec import LabSpec
    from drkit.lab.topology import Topology
    from drkit.observe.progress import Reporter

DOCUMENTS = 50
"""How many are written to each site before the backup, and have to be there afterwards."""
_CALM_SECONDS = 120.0
_ANSWER_SECONDS = 8.0
_AGAIN_SECONDS = 0.5
_HTTP = 80
_MAIN = "from drkit.cli.main import main; main()"


def rehearse(engine: DockerClient, spec: LabSpec, mode: str, reporter: Reporter, *, keep: bool) -> dict[str, Any]:
    """The whole rehearsal.

    Args:
        engine: where the lab comes to be.
        spec: what it consists of.
        mode: of the restore: ``etcd`` or ``manifests``.
        reporter: told of each act.
        keep: whether the lab is left afterwards. It always is where the rehearsal failed.

    Returns:
        Whether the proofs are equal, the seconds of the restore, the point, the steps, and what the application said.

    Raises:
        DrkitError: what a command ended with; or documents are missing, or health is not well.
    """
    lab = labs.up(engine, spec, reporter, workload=True)
    files = files_of(spec.name)
    sites = [_Site(each.host(lab.zone), lab.the(Role.DNS).address) for each in SITES]
    with reporter.task("writing documents"):
        documents = {site.host: site.fill(DOCUMENTS) for site in sites}
    archive = images.archive(sorted(image_names(engine, reporter)))
    token = files.secret(HCLOUD_TOKEN)
    with serving_lab(engine, spec.name, token, reporter, images=archive) as api:
        commands = _Commands(files, api)
        sealed = commands.run("backup", "--json")
        with reporter.task("destroying every node"):
            _destroy(engine, lab, api)
        report = commands.run("restore", "--to", TARGET, "--mode", mode, "--json")
        with reporter.task("comparing documents"):
            compared = {site.host: site.compare(documents[site.host]) for site in sites}
    document = {
        "lab": spec.name,
        "mode": mode,
        "proofs_equal": bool(report["proofs_equal"]) and all(each["equal"] for each in compared.values()),
        "rto_seconds": report["rto_seconds"],
        "point": report["point"],
        "sealed": sealed["point"]["id"],
        "report": report["report"],
        "sites": compared,
        "critical_path": report["critical_path"],
        "warnings": report["warnings"],
        "steps": report["steps"],
    }
    if not document["proofs_equal"]:
        raise RestoreFailed(
            f"the application does not answer as it did: {json.dumps(compared)}",
            f"the lab is left as it is; its report: {report['report']}",
        )
    if not keep:
        labs.down(engine, spec.name, reporter)
    return document


@dataclass(frozen=True)
class _Commands:
    """drkit's own commands, as a user of the lab's configuration would give them."""

    files: LabFiles
    api: StandIn

    def run(self, *arguments: str) -> dict[str, Any]:
        """The document that a command ends with; what it tells meanwhile goes where ours goes."""
        child = process.spawn(
            [sys.executable, "-c", _MAIN, *arguments, "--config", str(self.files.config)],
            env={**os.environ, "HCLOUD_ENDPOINT": self.api.endpoint},
            stdout=subprocess.PIPE,
            stderr=sys.stderr.fileno(),
        )
        try:
            out, _ = child.communicate()
        finally:
            process.forget(child)
        process.see_interrupt()
        try:
            document: dict[str, Any] = json.loads(out)
        except ValueError:
            document = {}
        if child.returncode != 0:
            said = document.get("error") or {}
            raise _failed(arguments[0], child.returncode, said)
        return document


def _failed(command: str, status: int, said: Mapping[str, Any]) -> DrkitError:
    return RestoreFailed(
        f"drkit {command} ended with status {status}: {said.get('message') or 'see above'}",
        "\n".join(filter(None, (said.get("hint"), "the lab is left as it is; drkit lab down removes it"))),
    )


def _destroy(engine: DockerClient, lab: Topology, api: StandIn) -> None:
    """Lose every node with its disks, and its server in the project."""
    import hcloud  # noqa: PLC0415 - a third of a second that only a rehearsal pays

    client = hcloud.Client(api.token, api.endpoint, poll_interval=0.2)
    names = {node.member for node in lab.nodes}
    for server in client.servers.get_all():
        if server.name in names:
            server.delete().wait_until_finished()
    left = [node.name for node in lab.nodes if containers.get(engine, node.name) is not None]
    if left:
        raise DrkitError(f"nodes of the lab are still there: {', '.join(left)}")


@dataclass(frozen=True)
class _Site:
    """The application under one of its names, found as its users find it.

    Attributes:
        host: the name.
        dns: the address of the server that answers for it.
    """

    host: str
    dns: str

    def fill(self, count: int) -> dict[str, str]:
        """Write documents, and return them by their keys."""
        documents = {uuid.uuid4().hex: f"document {number} of {self.host}" for number in range(count)}
        for key, text in documents.items():
            status, said = self._ask("POST", "/documents", text, {"Key": key})
            if status != http.client.CREATED:
                raise DrkitError(f"{self.host} does not take documents: {status} {said}")
        return documents

    def compare(self, documents: Mapping[str, str]) -> dict[str, Any]:
        """Whether all of them are there, and health is well. Right after a restore a pod may still be starting."""
        until = time.monotonic() + _CALM_SECONDS
        while True:
            health = self._ask("GET", "/health")[0]
            there = sum(self._ask("GET", f"/documents/{key}")[1].strip() == text for key, text in documents.items())
            found = {"health": health, "documents": len(documents), "there": there}
            whole = health == http.client.OK and there == len(documents)
            if whole or time.monotonic() > until:
                return {**found, "equal": whole}
            process.pause(_AGAIN_SECONDS)

    def _ask(self, method: str, path: str, body: str | None = None, more: Mapping[str, str] | None = None) -> Any:
        """Status and text of an answer; 0 and what went wrong where there is none."""
        try:
            address = resolve.address_of(self.host, self.dns)
            connection = http.client.HTTPConnection(address, _HTTP, timeout=_ANSWER_SECONDS)
            try:
                connection.request(method, path, body, {"Host": self.host, **(more or {})})
                answer = connection.getresponse()
                return answer.status, answer.read().decode(errors="replace")
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
