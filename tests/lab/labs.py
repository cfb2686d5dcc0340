"""Somebody who runs ``drkit lab``: a home of their own, and labs whose names begin alike."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.lab.site import DRKIT, Ran, finish

if TYPE_CHECKING:
    from pathlib import Path

COLD_SECONDS = 3600
"""Building all images and Kubernetes for the first time on a machine; later runs take seconds."""


@dataclass(frozen=True)
class LabUser:
    """Where their files are, and what their labs are called."""

    home: Path
    prefix: str

    def env(self) -> dict[str, str]:
        """The command's environment. What was built is shared with the user who runs the tests; nothing else is."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        cache = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '/root')}/.cache"
        return {**kept, "XDG_STATE_HOME": str(self.home / "state"), "XDG_CACHE_HOME": cache}

    def start(self, command: str, *arguments: str, name: str) -> subprocess.Popen[str]:
        """Start ``drkit lab COMMAND`` and do not wait for it."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", DRKIT, "lab", command, "--name", name, *arguments],
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str, *arguments: str, name: str, expect: int = 0) -> Ran:
        """Run ``drkit lab COMMAND`` to its end and see that it ends with the expected status."""
        done = ended(self.start(command, *arguments, name=name))
        assert done.status == expect, f"drkit lab {command}: {done.status}\n{done.out}\n{done.err}"
        return done


def ended(child: subprocess.Popen[str]) -> Ran:
    """Wait for a started command."""
    return finish(child, COLD_SECONDS)


def ssh(lab: dict[str, Any], node: str, *command: str) -> Ran:
    """Run a command on a node, logged in as its user would be."""
    address = next(each["address"] for each in lab["nodes"] if each["name"] == node)
    return login(lab["ssh"]["key"], lab["ssh"]["known_hosts"], f"root@{address}", *command)


def login(
    key: str, known_hosts: str, destination: str, *command: str, port: int = 22, options: tuple[str, ...] = ()
) -> Ran:
    """OpenSSH with this key and these host keys, and nothing of the machine's own."""
    argv = ["ssh", "-F", "none", "-i", key, "-p", str(port), "-o", f"UserKnownHostsFile={known_hosts}"]
    argv += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", *options]
    argv += [destination, *command]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def kubectl(lab: dict[str, Any], *words: str, stdin: str | None = None, server: str = "server-1") -> Ran:
    """Kubectl on one of the lab's servers, as its administrator."""
    container = next(node["container"] for node in lab["nodes"] if node["name"] == server)
    argv = ["docker", "exec", *(["-i"] if stdin else []), container, "k3s", "kubectl", *words]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)
