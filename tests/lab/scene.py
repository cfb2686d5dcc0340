"""What the runbooks' commands are run in: a lab with the sample workload, as its owner finds it in each situation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.lab import containers, traffic
from drkit.lab.files import TARGET
from drkit.lab.topology import Role
from tests.lab.labs import kubectl
from tests.lab.rebuilds import SPARES, ask, spares
from tests.lab.site import DRKIT, Ran
from tests.lab.waiting import until
from tests.runbooks import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from drkit.lab.hcloud.serve import StandIn
    from drkit.lab.topology import Topology
    from tests.lab.labs import LabUser
    from tests.runbooks import Block

WHEN = "2026-03-01T04:00:00Z"
"""The time at which all was well, as the pages write it."""
_SECONDS = 900.0
_PAGES = pages()


@dataclass
class Scene:
    """It.

    Attributes:
        directory: where ``drkit.yaml`` is.
        documents: what the application holds, by keys.
        well: the time that stands for ``WHEN``; ISO 8601, UTC.
        point: the id that stands for ``$POINT``.
    """

    user: LabUser
    lab: dict[str, Any]
    topology: Topology
    engine: DockerClient
    api: StandIn
    directory: Path
    documents: dict[str, str] = field(default_factory=dict)
    well: str = WHEN
    point: str = ""

    @property
    def host(self) -> str:
        """The name that the application is found under."""
        return f"docfast.{self.topology.zone}"

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.directory / "drkit.yaml"

    def env(self) -> dict[str, str]:
        """The owner's environment: ``drkit`` and ``kubectl`` are on the path."""
        programs = f"{self.directory / 'bin'}:{Path(DRKIT).parent}:{os.environ['PATH']}"
        return {**self.user.env(), "PATH": programs, "HCLOUD_ENDPOINT": self.api.endpoint, "POINT": self.point}

    def equip(self) -> None:
        """Put ``kubectl`` on the path, and the target ``here`` into the configuration."""
        (self.directory / "bin").mkdir(exist_ok=True)
        program = self.directory / "bin/kubectl"
        container = next(node["container"] for node in self.lab["nodes"] if node["name"] == "server-1")
        program.write_text(f'#!/bin/sh\nexec docker exec {container} k3s kubectl "$@"\n')
        program.chmod(0o755)
        address = next(node["address"] for node in self.lab["nodes"] if node["name"] == "server-1")
        self.target("here", {"server-1": address}, {}, "known_hosts")

    def target(
        self, name: str, servers: dict[str, str], agents: dict[str, str], known_hosts: str, jump: str = ""
    ) -> None:
        """Write a target of given hosts into the configuration, in place of an earlier one of its name."""
        listed = [[{"name": key, "address": value} for key, value in each.items()] for each in (servers, agents)]
        ssh = {"user": "root", "key": self.lab["ssh"]["key"], "known_hosts": known_hosts}
        ssh |= {"jump": jump} if jump else {}
        line = {"provider": "ssh", "servers": listed[0], "agents": listed[1], "ssh": ssh}
        kept = [each for each in self.config.read_text().splitlines() if not each.startswith(f"  {name}: ")]
        kept.insert(kept.index("clusters:") + 1, f"  {name}: {json.dumps(line)}")
        self.config.write_text("\n".join([*kept, ""]))

    def shell(self, text: str) -> subprocess.Popen[str]:
        """Begin what is typed into a shell; every line has to succeed."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", "bash", "-euo", "pipefail", "-c", text],
            cwd=self.directory,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def blocks(self, page: str) -> list[Block]:
        """The commands of a page, with what stands for the owner's own values put in."""
        return [replace(each, text=each.text.replace(WHEN, self.well)) for each in _PAGES[page].blocks]

    def follow(self, page: str) -> list[Ran]:
        """Give all commands of a page, in their order; each ends as the page says."""
        return [self.give(block) for block in self.blocks(page)]

    def give(self, block: Block) -> Ran:
        """Give the commands of one block."""
        done = finish(self.shell(block.text))
        assert done.status == block.status, f"{block.text}{done.status}, not {block.status}\n{done.out}\n{done.err}"
        return done

    def kill_in(self, block: Block, step: str, target: str = TARGET) -> None:
        """Give the commands of a block, and kill -9 what they started once a step of a restore has begun."""
        known = self._journals(target)
        child = self.shell(block.text)
        until(lambda: self._has_begun(step, target, known) or child.poll() is not None, _SECONDS, 0.05)
        assert child.poll() is None, finish(child)
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()

    def _journals(self, target: str) -> dict[Path, int]:
        """Journals, and how long each is."""
        found = (self.user.home / "state/drkit/restores" / target).glob("*.jsonl")
        return {path: path.stat().st_size for path in found}

    def _has_begun(self, step: str, target: str, known: dict[Path, int]) -> bool:
        """Whether what was not known yet of the journals says so."""
        said = "".join(path.read_text(errors="replace")[known.get(path, 0) :] for path in self._journals(target))
        return f'"step": "{step}", "status": "started"' in said

    def write(self, count: int) -> None:
        """Write documents, as a user of the application."""
        address = self.lab["load_balancer"]["address"]
        for number in range(count):
            key, text = uuid.uuid4().hex, f"document {number}"
            until(lambda key=key, text=text: ask(address, self.host, key, text).strip() == key, 60, 0.5)  # type: ignore[misc]
            self.documents[key] = text

    def serves(self, address: str = "") -> bool:
        """Whether the application answers with all documents, behind the load balancer or at an address."""
        at = address or self.lab["load_balancer"]["address"]
        return all(ask(at, self.host, key) == f"{text}\n" for key, text in self.documents.items())

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Kubectl on the lab's own server; it has to succeed."""
        done = kubectl(self.lab, *words, stdin=stdin)
        assert done.status == 0, done.err
        return done.out

    def backup(self, *options: str, status: int = 0) -> dict[str, Any]:
        """Back up; the point."""
        done = finish(self.shell(f"drkit backup --json {' '.join(options)}"))
        assert done.status == status, f"{done.status}\n{done.out}\n{done.err}"
        point: dict[str, Any] = done.json()["point"]
        return point

    def lose(self) -> None:
        """Destroy every node with its disks."""
        for node in self.topology.nodes:
            container = containers.get(self.engine, node.name)
            assert container is not None
            container.remove(force=True, v=True)

    def names(self) -> dict[str, tuple[str, ...]]:
        """What the lab's DNS server answers."""
        dns = self.engine.containers.get(self.topology.the(Role.DNS).name)
        return {name: tuple(values) for name, values in traffic.answers(dns).records.items()}

    @contextmanager
    def spare(self, *, through: str = "") -> Iterator[dict[str, str]]:
        """Fresh machines as the target ``spare``, for the time of the body; reached over the one that is named."""
        names = (*SPARES, through) if through else SPARES
        hosts = self.directory / "spare_hosts"
        with spares(self.engine, self.topology, self.lab, hosts, names) as addresses:
            found = dict(zip(names, addresses, strict=True))
            server, agent = SPARES
            jump = f"root@{found[through]}" if through else ""
            self.target("spare", {server: found[server]}, {agent: found[agent]}, hosts.name, jump)
            yield found


def finish(child: subprocess.Popen[str]) -> Ran:
    """Wait for a started command."""
    try:
        out, err = child.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        raise AssertionError(f"did not end within {_SECONDS} s\n{out}\n{err}") from None
    return Ran(child.returncode, out, err)
