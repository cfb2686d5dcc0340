"""A lab's machines as drkit reaches them, and what it left there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.cluster.node import Node
    from drkit.sources.port import Source

Lab = dict[str, Any]

DATABASE = "/var/lib/rancher/k3s/server/db"


def ssh_of(lab: Lab, **changed: object) -> Ssh:
    """How the lab's machines are logged in to."""
    return Ssh.model_validate({**lab["ssh"], **changed})


@contextmanager
def machine(lab: Lab, name: str, **changed: object) -> Iterator[SshNode]:
    """One of the lab's machines, over SSH."""
    address = next(each["address"] for each in lab["nodes"] if each["name"] == name)
    made = SshNode(name, address, ssh_of(lab, **changed))
    try:
        yield made
    finally:
        made.close()


def shell(node: Node, script: str, *arguments: str) -> str:
    """What a shell script prints there, which must succeed."""
    done = node.run(["sh", "-c", script, "sh", *arguments], deadline=60)
    assert done.status == 0, done.stderr
    return done.stdout.decode(errors="replace")


def copied(source: Source) -> tuple[bytes, dict[str, Any]]:
    """A source's bytes and details."""
    with source.open() as stream:
        content = b"".join(iter(lambda: os.read(stream.fileno(), 1 << 20), b""))
        stream.finish()
        return content, stream.details()


def remains(node: Node) -> list[str]:
    """What drkit left on a server: files of copies, what k3s noted of them, programs."""
    looking = """
    find "$1" -name '*drkit-*'
    for each in /proc/[0-9]*; do
        if tr '\\0' ' ' <"$each/cmdline" 2>/dev/null | grep -q 'etcd-snapshot sav[e]\\|state.db.drki[t]'; then
            echo "$each"
        fi
    done
    """
    return shell(node, looking, DATABASE).split()


OPEN = """
import sys, time
from pathlib import Path
from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.sources.datastore import DatastoreSource
address, user, key, known_hosts = sys.argv[1:]
node = SshNode("server-1", address, Ssh(user=user, key=Path(key), known_hosts=Path(known_hosts)))
with DatastoreSource((node,), "killed").open():
    print("open", flush=True)
    time.sleep(600)
"""
"""A drkit that opens the datastore and does not go on."""


def killed_when(lab: Lab, condition: Callable[[], object]) -> None:
    """Start copying the datastore of ``server-1``, and kill -9 what does it when the condition holds."""
    address = next(each["address"] for each in lab["nodes"] if each["name"] == "server-1")
    argv = [sys.executable, "-c", OPEN, address, lab["ssh"]["user"], lab["ssh"]["key"], lab["ssh"]["known_hosts"]]
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    try:
        until(condition, seconds=60)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
