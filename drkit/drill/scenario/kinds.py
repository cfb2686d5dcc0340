"""The kinds of faults: what each does, whom it hits, what a scenario can set, and what is found out for it. Pure.

An ``Injection`` carries in its ``options`` all fields of its kind's option model (times in seconds, sizes in bytes),
and beside them what ``drkit.drill.choose`` found in the cluster, under the names in ``Kind.found``:

``peers``: the other nodes' addresses and ranges of pods, as a list: ``["10.0.0.3", "10.42.1.0/24"]``.
``servers``: where the API is served, as a list: ``["10.0.0.2:6443"]``.
``server``: one of these, as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field, model_validator

from drkit.config.model import Model
from drkit.drill.scenario.quantities import Bytes, Seconds

if TYPE_CHECKING:
    from typing import Self

NODE, POD = "node", "pod"
PEERS, SERVERS, SERVER = "peers", "servers", "server"


class Options(Model):
    """What can be set of a fault; what stands below a field is what an editor shows of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Nothing(Options):
    """There is nothing to set."""


class SlowNetwork(Options):
    """What becomes of packets that leave the node."""

    delay: Seconds = 0.0
    """Each waits this long."""
    jitter: Seconds = 0.0
    """By how much that varies, to either side."""
    loss_percent: float = Field(default=0.0, ge=0, le=100)
    """How many of a hundred are dropped."""
    to: Literal["peers", "all"] = "peers"
    """Which packets: those to other nodes of the cluster, or all (SSH's too)."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.delay or self.loss_percent):
            raise ValueError("expected a delay, a loss_percent, or both")
        if self.jitter > self.delay:
            raise ValueError("expected a jitter that is no longer than the delay")
        return self


class FillDisk(Options):
    """Which disk is filled, and up to where."""

    path: str = Field(default="/var/lib/rancher", pattern=r"^(/[A-Za-z0-9._-]+)+$")
    """A directory: the file system that it is on is filled."""
    leave_bytes: Bytes = 0


class PressMemory(Options):
    """How much memory is left to everybody else."""

    leave_bytes: Bytes = 128 * 2**20


class KillProcess(Options):
    """Which process, and by what. ``etcd`` is k3s itself where it is embedded; ``postgres`` is the primary's."""

    process: Literal["etcd", "k3s", "containerd", "postgres"]
    signal: Literal["KILL", "TERM", "STOP"] = "KILL"
    """``STOP`` leaves it there without answering; the undo lets it go on."""


class RestartService(Options):
    """Which unit of systemd; ``k3s`` is ``k3s-agent`` on a node without the control plane."""

    unit: str = Field(default="k3s", pattern=r"^[A-Za-z0-9][A-Za-z0-9:_.@-]*$", max_length=200)


class DeletePod(Options):
    """How the pod ends."""

    grace: int | None = Field(default=None, ge=0, le=3600)
    """Whole seconds that its processes get to end by themselves; the pod's own setting where this is left out."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        does: in one sentence.
        hits: ``node`` or ``pod``: what ``on`` has to select.
        options: the model of what can be set.
        found: what ``drkit.drill.choose`` adds to the options; the words are explained above.
    """

    does: str
    hits: str
    options: type[Options] = Nothing
    found: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "power-off": Kind("the machine loses its power, and gets it back", NODE),
    "reset": Kind("the machine is reset, as by its button", NODE),
    "detach": Kind("the load balancer no longer has the node as its target", NODE),
    "isolate": Kind("the node and its peers do not reach each other", NODE, found=(PEERS,)),
    "isolate-from-api": Kind("the node does not reach any API server, and all else", NODE, found=(SERVERS,)),
    "block-client": Kind("the node, a client of the API, does not reach one of its servers", NODE, found=(SERVER,)),
    "slow-network": Kind("packets that leave the node are late, or lost", NODE, SlowNetwork, (PEERS,)),
    "fill-disk": Kind("a disk of the node is full", NODE, FillDisk),
    "press-memory": Kind("the node's memory is taken", NODE, PressMemory),
    "kill-process": Kind("a process on the node gets a signal", NODE, KillProcess),
    "restart-service": Kind("a service of the node is restarted", NODE, RestartService),
    "upgrade-k3s": Kind("k3s on the node is upgraded, as its installer does", NODE),
    "delete-pod": Kind("a pod is deleted; who owns it makes another", POD, DeletePod),
    "drain": Kind("the node is cordoned and drained, as before its maintenance", NODE),
}
