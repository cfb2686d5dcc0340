"""Killed after any call, a restore and its destruction end the same when they are called again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import hcloud
import pytest

from drkit.lab.hcloud.memory import MemoryMachines
from drkit.lab.hcloud.serve import serving
from tests.contract.hetzner.steps import TOKEN, all_of_it, hetzner
from tests.old_cluster import RESTORE, asked, build, lose, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.hetzner import HetznerProvider
    from drkit.providers.values import Wanted


class Killed(BaseException):
    """drkit is gone."""


@contextmanager
def killed_after(calls: int) -> Iterator[list[str]]:
    """For the body drkit dies after so many calls that change something: the answer of the last is never seen."""
    made: list[str] = []
    real = hcloud.Client.request

    def request(self: hcloud.Client, method: str, url: str, **more: Any) -> dict[str, Any]:
        answer = real(self, method, url, **more)
        if method != "GET":
            made.append(f"{method} {url}")
            if len(made) == calls:
                raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hcloud.Client, "request", request)
        yield made


def undisturbed(wanting: Callable[[StandIn], Wanted]) -> tuple[dict[str, Any], dict[str, Any], int, int]:
    """How a restore and its destruction end, and how many calls each takes that change something."""
    with serving(MemoryMachines(), TOKEN) as api:
        wanted = wanting(api)
        with killed_after(0) as made:
            all_of_it(hetzner(api), wanted)
        whole = state(api)
        with killed_after(0) as removed:
            hetzner(api).destroy(RESTORE)
        return whole, state(api), len(made), len(removed)


def of_old(api: StandIn) -> Wanted:
    """Beside the old cluster."""
    return asked(build(api))


def of_nothing(api: StandIn) -> Wanted:
    """With nothing left."""
    document = build(api)
    lose(api, "servers", "load_balancers", "firewalls", "placement_groups", "networks")
    return asked(document)


def of_names(api: StandIn) -> Wanted:
    """With the old names."""
    return asked(build(api), replace=True)


@pytest.mark.parametrize("wanting", [of_old, of_nothing, of_names])
def test_killed_after_any_call_it_ends_the_same(wanting: Callable[[StandIn], Wanted]) -> None:
    """A restore that dies after any of its calls, and is run again, ends as one that was not disturbed."""
    whole, _, calls, _ = undisturbed(wanting)
    assert calls > 10
    for number in range(1, calls + 1):
        with serving(MemoryMachines(), TOKEN) as api:
            wanted = wanting(api)
            with killed_after(number), pytest.raises(Killed):
                all_of_it(hetzner(api), wanted)
            all_of_it(hetzner(api), wanted)
            assert state(api) == whole, f"after call {number}"


@pytest.mark.parametrize("wanting", [of_old, of_nothing, of_names])
def test_destroy_that_is_killed_is_finished_by_the_next(wanting: Callable[[StandIn], Wanted]) -> None:
    """Destruction that dies after any of its calls, and is run again, leaves what an undisturbed one leaves."""
    _, left, _, calls = undisturbed(wanting)
    for number in range(1, calls + 1):
        with serving(MemoryMachines(), TOKEN) as api:
            wanted = wanting(api)
            all_of_it(hetzner(api), wanted)
            with killed_after(number), pytest.raises(Killed):
                hetzner(api).destroy(RESTORE)
            hetzner(api).destroy(RESTORE)
            assert state(api) == left, f"after call {number}"


@pytest.mark.parametrize("wanting", [of_old, of_nothing, of_names])
def test_destroy_after_any_call_leaves_no_trace(wanting: Callable[[StandIn], Wanted]) -> None:
    """What a restore made before it died goes, whatever that was, and no more."""
    _, _, calls, _ = undisturbed(wanting)
    for number in range(1, calls + 1, 3):
        with serving(MemoryMachines(), TOKEN) as api:
            wanted = wanting(api)
            before = _without_power(state(api))
            with killed_after(number), pytest.raises(Killed):
                all_of_it(hetzner(api), wanted)
            hetzner(api).destroy(RESTORE)
            assert _without_power(state(api)) == before, f"after call {number}"


def _without_power(found: dict[str, Any]) -> dict[str, Any]:
    """Without what destroy leaves on purpose: old servers that are off."""
    return {**found, "servers": {name: {**each, "status": ""} for name, each in found["servers"].items()}}


def test_destroy_leaves_another_restores_things(api: StandIn, provider: HetznerProvider) -> None:
    """Two restores beside each other: what one made stays when the other is destroyed."""
    document = build(api)
    first, second = asked(document), asked(document, restore_id="restore-2")
    all_of_it(provider, first)
    kept = set(state(api)["servers"])
    provider.foundation(second)
    for each in second.servers:
        provider.server(second, each.name)
    provider.destroy("restore-2")
    assert set(state(api)["servers"]) == kept
