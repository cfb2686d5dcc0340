"""Settings as they would be: ``lb.interval=3s,node.grace=16s``. Pure."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from drkit.config.times import length
from drkit.errors import UsageError
from drkit.posture.settings import Check, NodeLoss, Setting, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "node.grace": ("NodeLoss", "grace"),
    "node.heartbeat": ("NodeLoss", "heartbeat"),
    "node.period": ("NodeLoss", "period"),
    "lb.interval": ("Check", "interval"),
    "lb.timeout": ("Check", "timeout"),
    "lb.retries": ("Check", "retries"),
    "toleration": ("Workload", "eviction"),
    "operator.toleration": ("Operator", "eviction"),
    "operator.lease": ("Operator", "lease"),
    "operator.retry": ("Operator", "retry"),
    "cnpg.failover-delay": ("Database", "failover_delay"),
    "cnpg.switchover-delay": ("Database", "switchover_delay"),
    "cnpg.lease": ("Database", "lease"),
    "pooler.connect-timeout": ("Pooler", "connect_timeout"),
    "pooler.login-retry": ("Pooler", "login_retry"),
    "dns.ttl": ("Settings", "dns_ttl"),
}
"""What can be asked for: the value that has it, and its field there. It changes wherever it stands."""
_SHORTEST_INTERVAL: Final = 3.0
_SHORTEST_TIMEOUT: Final = 1.0


def what_if(settings: Settings, wished: str) -> Settings:
    """The settings, with some of them changed.

    Args:
        settings: as they are.
        wished: ``key=value`` pairs with commas between; values are durations, or counts.

    Raises:
        UsageError: it is not of that form, there is no such key, the cluster has no such setting, or it cannot be.
    """
    changed = settings
    for pair in filter(None, (each.strip() for each in wished.split(","))):
        key, equals, written = (part.strip() for part in pair.partition("="))
        value = length(written)
        if not equals or value is None:
            raise UsageError(f"--what-if {pair!r} is not understood", "write it as in lb.interval=3s,node.grace=16s")
        if key not in KEYS:
            raise UsageError(f"--what-if: there is no setting {key!r}", f"there are: {', '.join(sorted(KEYS))}")
        before, changed = changed, _changed(changed, *KEYS[key], Setting(value, f"--what-if {key}={written}"))
        if before == changed:
            raise UsageError(f"--what-if: this cluster has no {key}", "leave it out")
    # A check that lasts longer than it takes until the next one is none that Hetzner takes.
    return replace(_seen(changed), checks=tuple(map(_possible, changed.checks)))


def _changed(value: T, owner: str, field: str, setting: Setting) -> T:
    """A value with a setting changed in it and in all that it holds, wherever that is there already."""
    if isinstance(value, tuple):
        return tuple(_changed(each, owner, field, setting) for each in value)  # type: ignore[return-value]
    if isinstance(value, Setting) or not is_dataclass(value) or isinstance(value, type):
        return value
    found: dict[str, Any] = {}
    for each in fields(value):
        held = getattr(value, each.name)
        mine = type(value).__name__ == owner and each.name == field and held is not None
        found[each.name] = setting if mine else _changed(held, owner, field, setting)
    return replace(value, **found)


def _possible(check: Check) -> Check:
    """With a timeout that is not longer than the interval. Source: Hetzner Cloud API, load balancers, health check."""
    interval, timeout = check.interval, check.timeout
    if interval.value < _SHORTEST_INTERVAL or timeout.value < _SHORTEST_TIMEOUT or check.retries.value < 1:
        raise UsageError(
            f"--what-if: a check every {interval.value:g} s, {timeout.value:g} s long, {check.retries.value:g} times",
            "Hetzner takes intervals from 3 s, timeouts from 1 s, and one retry or more",
        )
    if timeout.value > interval.value:
        return replace(check, timeout=Setting(interval.value, f"no longer than the interval: {interval.where}"))
    return check


def _seen(settings: Settings) -> Settings:
    """The same, where the node controller can work with them."""
    loss: NodeLoss = settings.loss
    if min(loss.grace.value, loss.heartbeat.value, loss.period.value) <= 0:
        raise UsageError("--what-if: node.grace, node.heartbeat and node.period are longer than nothing")
    return settings
