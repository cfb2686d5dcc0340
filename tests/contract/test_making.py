"""Hosts that exist, as a restore's machines: this one, which is reached without SSH and is only looked at."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from drkit.clock import SystemClock
from drkit.config.load import load
from drkit.errors import PreflightFailed, RestoreFailed
from drkit.restore import making, rebuild_plan
from drkit.restore.engine import journal
from drkit.restore.engine.action import Call
from drkit.restore.engine.plan import Plan
from drkit.restore.ground import Ground, ground
from drkit.restore.machines import Machines
from drkit.restore.making import Making
from drkit.restore.rebuild import Means
from drkit.restore.wanted import MANIFESTS, Machine, Wanted
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """
cluster: {servers: [{name: old, address: 127.0.0.1}, {name: older, address: ADDRESS}]}
vaults: {databases: {url: vault, passphrase: {env: PASSPHRASE}}}
clusters: {hosts: {servers: [{name: s1, address: ADDRESS}], ssh: {user: nobody, known_hosts: known_hosts}}}
"""


@pytest.fixture
def shared(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A target of one host; its address is the parameter, else this machine's."""
    address = getattr(request, "param", "127.0.0.1")
    (tmp_path / "drkit.yaml").write_text(CONFIG.replace("ADDRESS", address))
    (tmp_path / "known_hosts").touch()
    config = load(tmp_path / "drkit.yaml")
    wanted = Wanted("hosts", MANIFESTS, servers=(Machine("s1"),), version="v1.34.4+k3s1")
    plan = Plan("hosts", rebuild_plan.steps(wanted), (), mode=MANIFESTS)
    means = Means(plan, config, {}, {}, {}, old_is_dead=False, clock=SystemClock(), reporter=Heard())
    with Machines(plan, config) as machines:
        yield ground(means, machines, "restore-1")


def call_of(shared: Ground, left: dict[str, Any]) -> Call:
    """A call of the step ``server s1``; what it left, where it is done."""
    clock = SystemClock()
    begun = journal.begin("hosts", "restore-1", shared.means.plan.as_json())
    attempt = journal.Attempt(begun, clock, 1, clock.now(), clock.monotonic())
    step = shared.machines.steps["s1"]
    return Call(step, attempt, begun_before=False, results={step.id: left} if left else {}, task=Heard())


def test_a_host_is_known_by_its_own_addresses(shared: Ground) -> None:
    """It keeps its name; its address in the cluster is on one of its interfaces, and later steps find the way to it."""
    work = Making(shared)
    # The old machine, set up anew.
    work.preflight("restore-1", vouched=False)
    left = work.server(call_of(shared, {}))
    call = call_of(shared, left)
    machine = shared.machines.machine("s1", call)
    assert (machine.name, machine.role, machine.join) == ("s1", "server", "")
    assert machine.internal
    listed = shared.machines.node("s1", call).run(["ip", "-brief", "address", "show", machine.interface], deadline=20)
    assert f" {machine.internal[0]}/".encode() in listed.stdout
    assert work.server(call) == left


@pytest.mark.parametrize("shared", ["192.0.2.1.invalid"], indirect=True)
def test_a_host_that_cannot_be_reached_is_named_before_anything_is_touched(shared: Ground) -> None:
    """A name that leads nowhere is refused in preflight."""
    with pytest.raises(PreflightFailed, match=r"(?s)s1.*nothing was touched"):
        Making(shared).preflight("restore-1", vouched=True)


@pytest.mark.parametrize("shared", ["192.0.2.1.invalid"], indirect=True)
def test_a_machine_that_never_lets_anybody_in_is_named(shared: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its bound it is said which one it is, and what can be done about it."""
    monkeypatch.setattr(making, "BOOT_SECONDS", 0.1)
    with pytest.raises(RestoreFailed, match="s1 is there, and did not let drkit in") as failed:
        Making(shared).server(call_of(shared, {}))
    assert "--resume" in failed.value.hint
    assert not failed.value.passes


@pytest.mark.parametrize(("version", "will_do"), [("v1.33.9+k3s1", False), ("v1.36.0+k3s1", False), ("v1.35.1", True)])
def test_a_host_with_another_k3s_is_named_before_anything_is_touched(
    shared: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, will_do: bool
) -> None:
    """An older version, or one that is too new for the datastore, is refused in preflight."""
    (tmp_path / "k3s").write_text(f'#!/bin/sh\necho "k3s version {version} (0a1b2c3d)"\n')
    (tmp_path / "k3s").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if will_do:
        Making(shared).preflight("restore-1", vouched=True)
        return
    with pytest.raises(PreflightFailed, match=re.escape(f"s1 has k3s {version}, and the cluster was on v1.34.4")):
        Making(shared).preflight("restore-1", vouched=True)


@pytest.mark.parametrize("shared", ["127.0.0.2"], indirect=True)
def test_a_cluster_that_lives_is_named_before_anything_is_touched(shared: Ground) -> None:
    """Where nothing could keep it from serving, preflight refuses; whoever vouches for its death goes on."""
    with pytest.raises(PreflightFailed, match=r"old at 127\.0\.0\.1:6443") as refused:
        Making(shared).preflight("restore-1", vouched=False)
    assert "--old-is-dead" in refused.value.hint
    Making(shared).preflight("restore-1", vouched=True)
