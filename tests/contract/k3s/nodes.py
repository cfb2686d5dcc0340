"""One machine of the contract suite: a container with systemd, and what is done on it."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIG = "/etc/rancher/k3s/config.yaml"
_SECONDS = 240.0


def docker(*arguments: str, stdin: bytes | None = None, check: bool = True) -> str:
    """Run docker and return what it printed."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False)
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def until(condition: Callable[[], object], seconds: float = _SECONDS, what: str = "the condition") -> None:
    """Return when ``condition`` holds; fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:.0f} s"
        time.sleep(0.5)


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
        self.write(CONFIG, json.dumps({"node-ip": self.address, **named}, indent=1))

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

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create objects or change them."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.ok("k3s", "kubectl", "apply", "--filename=-", stdin=json.dumps(listed))

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

    def wait_for_boot(self) -> None:
        """Wait until systemd has started its units."""
        until(lambda: self.run("systemctl", "is-system-running").output.strip() in {"running", "degraded"}, 60.0)

    def join(self, server: Node, token: str, **settings: object) -> None:
        """Let it be an agent of ``server`` from now on."""
        self.configure(server=f"https://{server.address}:6443", token=token, **settings)
        self.start("k3s-agent")


def at_once(action: Callable[[Node], object], nodes: Sequence[Node]) -> None:
    """Do the same on several machines side by side."""
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(action, nodes))


def power_on(*nodes: Node) -> None:
    """Give machines their power back, and wait until they have booted."""
    for node in nodes:
        docker("start", node.container)
    at_once(Node.wait_for_boot, nodes)
