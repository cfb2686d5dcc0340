"""Machines for the contract suite: containers with systemd, on a network of their own, with k3s installed in them.

``DRKIT_K3S_BINARY`` names a real k3s, ``DRKIT_K3S_IMAGES`` the archive of the images it wants (k3s's air-gap archive).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.lab.k3s import build

if TYPE_CHECKING:
    from collections.abc import Callable

REAL = os.environ.get("DRKIT_K3S_BINARY", "")
REAL_IMAGES = os.environ.get("DRKIT_K3S_IMAGES", "")

PROBE = "localhost/drkit-tests/probe:1"
"""The image of the suite's pods: it says who it is, and asks others who they are."""

_LABEL = "drkit-tests.k3s"
_IMAGE = "drkit-tests/k3s-node"
_CAPABILITIES = (
    *("AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE"),
    *("LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "SYSLOG", "SYS_ADMIN", "SYS_BOOT"),
    *("SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_TTY_CONFIG", "WAKE_ALARM"),
)
_IMAGES = "/var/lib/rancher/k3s/agent/images"
_SECONDS = 240.0


def docker(*arguments: str, stdin: bytes | None = None, check: bool = True) -> str:
    """Run docker and return what it printed."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False)
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def missing() -> str:
    """What this machine lacks to run the suite; empty where it lacks nothing."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        return "no Docker engine answers"
    if not _base_image():
        return "the lab's node image is not there: drkit lab up builds it"
    if build.find_go() is None:
        return "no Go that can build the lab's Kubernetes"
    return ""


def _base_image() -> str:
    listed = docker("images", "--quiet", "--filter", "reference=drkit-lab/node")
    return listed.splitlines()[0] if listed else ""


def until(condition: Callable[[], object], seconds: float = _SECONDS, what: str = "the condition") -> None:
    """Return when ``condition`` holds; fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:.0f} s"
        time.sleep(0.3)


@dataclass
class Result:
    """How a command on a node ended."""

    status: int
    output: str

    @property
    def good(self) -> bool:
        """Whether it succeeded."""
        return self.status == 0


@dataclass
class Node:
    """One machine."""

    container: str
    name: str
    address: str

    def run(self, *argv: str, stdin: str = "") -> Result:
        """Run a command on it to its end."""
        done = subprocess.run(
            ["docker", "exec", "--interactive", self.container, *argv],
            input=stdin.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(errors="replace"))

    def ok(self, *argv: str, stdin: str = "") -> str:
        """Run a command that must succeed, and return what it said."""
        result = self.run(*argv, stdin=stdin)
        assert result.good, f"{' '.join(argv)} on {self.name}: {result.output[-2000:]}"
        return result.output.strip()

    def sh(self, script: str) -> str:
        """Run a shell script that must succeed."""
        return self.ok("sh", "-c", script)

    def write(self, path: str, text: str) -> None:
        """Put a file on it."""
        self.ok("sh", "-c", f"mkdir -p $(dirname {path}) && cat > {path}", stdin=text)

    def configure(self, **settings: object) -> None:
        """Write k3s's configuration; underscores stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in settings.items()}
        # JSON is YAML.
        self.write("/etc/rancher/k3s/config.yaml", json.dumps({"node-ip": self.address, **named}, indent=1))

    def start(self, unit: str = "k3s") -> None:
        """Let k3s run, now and after each start of the machine."""
        self.ok("systemctl", "enable", "--quiet", unit)
        self.ok("systemctl", "start", "--no-block", unit)

    def stop(self, unit: str = "k3s") -> None:
        """Stop k3s."""
        self.ok("systemctl", "stop", unit)

    def log(self, unit: str = "k3s") -> str:
        """What k3s has logged."""
        return self.ok("journalctl", "--unit", unit, "--no-pager", "--output=cat")

    def kubectl(self, *arguments: str, stdin: str = "") -> Result:
        """Run kubectl on it."""
        return self.run("k3s", "kubectl", "--request-timeout=10s", *arguments, stdin=stdin)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Objects of the API, which must answer."""
        result = self.kubectl("get", *arguments, "--output=json")
        assert result.good, result.output
        found: dict[str, Any] = json.loads(result.output)
        return found

    def ready_nodes(self) -> set[str]:
        """The names of the nodes that are ready; none while the API does not answer."""
        result = self.kubectl("get", "nodes", "--output=json")
        if not result.good:
            return set()
        return {
            node["metadata"]["name"]
            for node in json.loads(result.output)["items"]
            for condition in node["status"]["conditions"]
            if condition["type"] == "Ready" and condition["status"] == "True"
        }

    def power_off(self) -> None:
        """Take its power away."""
        docker("kill", self.container)

    def power_on(self) -> None:
        """Give it back."""
        docker("start", self.container)
        self.wait_for_boot()

    def wait_for_boot(self) -> None:
        """Wait until systemd has started its units."""
        until(lambda: self.run("systemctl", "is-system-running").output.strip() in {"running", "degraded"}, 60.0)


@dataclass
class Machines:
    """The machines of one test module, and their network."""

    label: str
    subnet: str
    image: str
    probe_image: Path
    nodes: dict[str, Node] = field(default_factory=dict)

    def add(self, name: str, number: int) -> Node:
        """Make a machine with the address ``number`` in the network."""
        container = f"{self.label}-{name}"
        address = self.subnet.replace("0/24", str(number))
        for volume in ("var", "rancher"):
            docker("volume", "create", "--label", f"{_LABEL}={self.label}", f"{container}-{volume}")
        docker(
            *("run", "--detach", "--name", container, "--hostname", name, "--label", f"{_LABEL}={self.label}"),
            *("--network", self.label, "--ip", address, "--cgroupns=private"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *("--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"),
            *(f"--cap-add={capability}" for capability in _CAPABILITIES),
            *("--volume", f"{container}-var:/var", "--volume", f"{container}-rancher:/etc/rancher"),
            self.image,
        )
        node = Node(container, name, address)
        node.wait_for_boot()
        node.ok("mkdir", "-p", _IMAGES)
        docker("cp", str(self.probe_image), f"{container}:{_IMAGES}/probe.tar")
        if REAL_IMAGES:
            docker("cp", REAL_IMAGES, f"{container}:{_IMAGES}/")
        self.nodes[name] = node
        return node

    def remove(self, name: str) -> None:
        """Take a machine away, with all it had."""
        node = self.nodes.pop(name)
        docker("rm", "--force", "--volumes", node.container)
        docker("volume", "rm", f"{node.container}-var", f"{node.container}-rancher")


def make_image(directory: Path) -> str:
    """Make the image of the suite's machines, once for a session, and return its name."""
    tree = directory / "tree"
    if REAL:
        _lay_out_real(tree)
    else:
        build.write_node_files(build.build(print), tree)
    (directory / "Dockerfile").write_text(f"FROM {_base_image()}\nCOPY tree/ /\n", encoding="utf-8")
    subprocess.run(
        ["docker", "build", "--quiet", "--label", f"{_LABEL}=image", "--tag", _IMAGE, str(directory)],
        check=True,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return _IMAGE


def make_machines(label: str, subnet: str, image: str, probe_image: Path) -> Machines:
    """Make a network for machines, after removing what a killed run left."""
    clean_up(label)
    docker("network", "create", "--label", f"{_LABEL}={label}", "--subnet", subnet, label)
    return Machines(label, subnet, image, probe_image)


def _lay_out_real(tree: Path) -> None:
    binary = tree / "usr/local/bin/k3s"
    binary.parent.mkdir(parents=True)
    shutil.copy(REAL, binary)
    binary.chmod(0o755)
    units = tree / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in (Path(build.__file__).parent / "units").iterdir():
        shutil.copy(unit, units / unit.name)


def clean_up(label: str) -> None:
    """Remove everything that carries this label."""
    mine = f"label={_LABEL}={label}"
    for listing, removal in (
        (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
        (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
        (("network", "ls", "--quiet"), ("network", "rm")),
        (("images", "--quiet"), ("rmi", "--force")),
    ):
        found = set(docker(*listing, "--filter", mine).split())
        if found:
            docker(*removal, *found, check=False)
