"""A project: its things, the actions under way, and what follows from them. What a request may do is in ``routes``."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drkit.clock import to_text
from drkit.errors import DrkitError
from drkit.lab import balancer
from drkit.lab.hcloud.refused import Refused, invalid, locked, not_found, not_unique
from drkit.lab.hcloud.trouble import Trouble
from drkit.topology import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drkit.lab.hcloud.machines import Addresses, Machines

Raw = dict[str, Any]
Resource = tuple[str, int]
"""What an action is about: the kind, as the API calls it, and its number."""

COLLECTIONS = {
    "servers": "server",
    "load_balancers": "load_balancer",
    "networks": "network",
    "firewalls": "firewall",
    "floating_ips": "floating_ip",
    "primary_ips": "primary_ip",
    "placement_groups": "placement_group",
    "ssh_keys": "ssh_key",
    "zones": "zone",
    "volumes": "volume",
}
"""Each collection, and how one thing of it is called."""

_SIDE_BY_SIDE = 8
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"([a-z0-9.-]{{1,253}}/)?{_NAME}")
_LABEL_VALUE = re.compile(rf"({_NAME})?")


@dataclass
class Action:
    """An asynchronous task, as the API shows it; ``effect`` is what it brings about."""

    id: int
    command: str
    resources: tuple[Resource, ...]
    ready: float
    work: Callable[[], None] | None
    effect: Callable[[], None]
    after: Action | None = None
    fails: str = ""
    running: Future[None] | None = None
    status: str = "running"
    error: Raw | None = None
    started: str = field(default_factory=lambda: to_text(datetime.now(UTC)))

    def document(self) -> Raw:
        """As the API gives it."""
        return {
            "id": self.id,
            "command": self.command,
            "status": self.status,
            "progress": 100 if self.status != "running" else 0,
            "started": self.started,
            "finished": None if self.status == "running" else self.started,
            "resources": [{"type": kind, "id": number} for kind, number in self.resources],
            "error": self.error,
        }


class Project:
    """All of it in memory. Whoever calls holds ``lock``."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.trouble = Trouble()
        self.lock = threading.RLock()
        self.things: dict[str, dict[int, Raw]] = {collection: {} for collection in COLLECTIONS}
        self.rrsets: dict[int, dict[str, Raw]] = defaultdict(dict)
        """The record sets of each zone, by ``name/type``."""
        self.actions: dict[int, Action] = {}
        self.promised: dict[int, Addresses] = {}
        """The addresses of each server and load balancer, those too that it does not use."""
        self.quiet = False
        """Whether the machines are not told of load balancers and names: they are not whole yet."""
        self.problems: list[str] = []
        """What the machines could not do about load balancers and names, for whoever looks."""
        self._numbers = itertools.count(1001)
        self._pool = ThreadPoolExecutor(_SIDE_BY_SIDE, "stand-in")
        # One after the other: the newest configuration is the last that is told.
        self._traffic = ThreadPoolExecutor(1, "stand-in-traffic")
        self._told: dict[int | str, Any] = {}

    def close(self) -> None:
        """Wait for what is under way, and start nothing more; load balancers and names become what was last said."""
        self._pool.shutdown(cancel_futures=True)
        self._traffic.shutdown()

    def number(self) -> int:
        """A new thing's number."""
        return next(self._numbers)

    def thing(self, collection: str, number: int) -> Raw:
        """One thing.

        Raises:
            Refused: it is not there.
        """
        try:
            return self.things[collection][number]
        except KeyError:
            raise not_found(f"{COLLECTIONS[collection]} with ID {number}") from None

    def add(self, collection: str, body: Mapping[str, Any], **more: Any) -> Raw:
        """Add a thing with name, labels and what else belongs to it.

        Raises:
            Refused: its name is taken, a label is malformed, or the project has enough of them.
        """
        limit = self.trouble.limits.get(collection)
        if limit is not None and len(self.things[collection]) >= limit:
            limits = {"limits": [{"name": f"{COLLECTIONS[collection]}_limit"}]}
            raise Refused(403, "resource_limit_exceeded", f"{COLLECTIONS[collection]} limit exceeded", limits)
        name = str(body.get("name") or "")
        self.see_name(collection, name)
        made = {
            "id": self.number(),
            "name": name,
            "labels": see_labels(body.get("labels") or {}),
            "created": to_text(datetime.now(UTC)),
            "protection": {"delete": False},
            **more,
        }
        self.things[collection][made["id"]] = made
        return made

    def see_name(self, collection: str, name: str, but: int = 0) -> None:
        """See that a name can be given.

        Raises:
            Refused: it is empty, or another one's.
        """
        if not name or (collection == "servers" and not re.fullmatch(_NAME, name)):
            raise invalid("name", "is no valid name")
        if any(each["name"] == name and number != but for number, each in self.things[collection].items()):
            raise not_unique("name", "name")

    def start(
        self,
        command: str,
        *resources: Resource,
        effect: Callable[[], None] = lambda: None,
        work: Callable[[], None] | None = None,
        after: Action | None = None,
    ) -> Action:
        """Start an action; one that is to come ``after`` another begins when that has ended well.

        Raises:
            Refused: there is another one under way on the same things.
        """
        for resource in resources if after is None else ():
            if self.busy(resource):
                raise locked(f"{resource[0]} {resource[1]}")
        ready = time.monotonic() + self.trouble.seconds * (2 if after else 1)
        action = Action(self.number(), command, resources, ready, work, effect, after)
        action.fails = self.trouble.of_action(command)
        self.actions[action.id] = action
        self.settle()
        return action

    def busy(self, resource: Resource) -> bool:
        """Whether an action is under way there."""
        return any(each.status == "running" and resource in each.resources for each in self.actions.values())

    def settle(self) -> None:
        """Let time have passed: actions that are due begin or end."""
        for action in list(self.actions.values()):
            if action.status == "running":
                self._settle(action)
        self._tell()

    def _settle(self, action: Action) -> None:
        if action.after is not None and action.after.status != "success":
            if action.after.status == "error":
                self._end(action, "action_failed", "the action before it failed")
            return
        if action.fails:
            if time.monotonic() >= action.ready:
                self._end(action, action.fails, f"by order: {action.fails}")
            return
        if action.work is not None and action.running is None:
            action.running = self._pool.submit(action.work)
        if time.monotonic() < action.ready or (action.running is not None and not action.running.done()):
            return
        problem = None if action.running is None else action.running.exception()
        if problem is not None:
            said = problem.message if isinstance(problem, DrkitError) else repr(problem)
            self._end(action, "action_failed", said)
            return
        action.effect()
        action.status = "success"

    @staticmethod
    def _end(action: Action, code: str, message: str) -> None:
        action.status, action.error = "error", {"code": code, "message": message}

    def _tell(self) -> None:
        """Tell the machines what load balancers and names have become."""
        if self.quiet:
            return
        for raw in self.things["load_balancers"].values():
            services = [_service(each) for each in raw["services"]]
            targets = {server["id"]: self.address_of(server, private=how) for server, how in self.behind(raw)}
            arguments = (raw["id"], self.promised[raw["id"]].public, services, targets)
            self._tell_once(raw["id"], arguments, self.machines.balance)
        names = {
            (zone["name"] if each["name"] == "@" else f"{each['name']}.{zone['name']}"): [
                record["value"] for record in each["records"]
            ]
            for zone in self.things["zones"].values()
            for each in self.rrsets[zone["id"]].values()
            if each["type"] in {"A", "AAAA"}
        }
        self._tell_once("names", (names,), self.machines.answer)

    def _tell_once(self, key: int | str, arguments: Any, tell: Callable[..., None]) -> None:
        if self._told.get(key) != arguments:
            self._told[key] = arguments
            self._traffic.submit(self._tell_safely, key, tell, arguments)

    def _tell_safely(self, key: int | str, tell: Callable[..., None], arguments: Any) -> None:
        try:
            tell(*arguments)
        except Exception as error:  # noqa: BLE001 - it is said, and tried again with the next request
            with self.lock:
                self._told.pop(key, None)
                self.problems.append(f"{key}: {error}")

    def behind(self, raw: Raw) -> Iterator[tuple[Raw, bool]]:
        """The servers that a load balancer sends traffic to, and whether by their private addresses."""
        for target in raw["targets"]:
            for server in self.things["servers"].values():
                if is_target(target, server):
                    yield server, bool(target.get("use_private_ip"))

    @staticmethod
    def address_of(server: Raw, *, private: bool) -> str:
        """Where a load balancer reaches it."""
        if private:
            return str(server["private_net"][0]["ip"])
        return str(server["public_net"]["ipv4"]["ip"])


def _service(raw: Mapping[str, Any]) -> balancer.Service:
    told = raw["health_check"]
    check = balancer.Check(told["interval"], told["timeout"], told["retries"])
    return balancer.Service(
        raw["listen_port"], raw["destination_port"], check, bool(raw["proxyprotocol"]), int(told.get("port") or 0)
    )


def is_target(target: Mapping[str, Any], server: Raw) -> bool:
    """Whether a target means that server."""
    if target["type"] == "server":
        return bool(target["server"]["id"] == server["id"])
    return target["type"] == "label_selector" and select.matches(target["label_selector"]["selector"], server["labels"])


def see_labels(labels: Any) -> dict[str, str]:
    """Labels as they may be.

    Raises:
        Refused: they are not of the documented form.
    """
    if not isinstance(labels, dict):
        raise invalid("labels", "is no object")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            raise invalid("labels", f"{key}: {value} is no label")
    return dict(labels)
