"""Snapshots of etcd: their names, their schedule, and how many are kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import OLD_SNAPSHOTS, SNAPSHOTS
from tests.contract.k3s.nodes import until

if TYPE_CHECKING:
    from tests.contract.k3s.nodes import Node


# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]


def test_a_snapshot_is_named_private_and_listed(server: Node) -> None:
    """An on-demand snapshot is named by prefix, node and time, readable by root alone, and can be deleted by name."""
    server.ok("k3s", "etcd-snapshot", "save")
    name = server.sh(f"ls {SNAPSHOTS} | grep ^on-demand-")
    assert re.fullmatch(r"on-demand-srv1-\d{10}", name)
    assert server.sh(f"stat -c %a {SNAPSHOTS}/{name}") == "600"
    assert f"file://{SNAPSHOTS}/{name}" in server.ok("k3s", "etcd-snapshot", "ls")
    server.ok("k3s", "etcd-snapshot", "delete", name)
    assert name not in server.ok("k3s", "etcd-snapshot", "ls")


def test_pruning_keeps_the_newest_of_one_prefix(server: Node) -> None:
    """Pruning one prefix leaves the snapshots of others alone."""
    server.ok("k3s", "etcd-snapshot", "save", "--name", "other")
    for _ in range(3):
        taken = server.sh(f"ls {SNAPSHOTS}")
        server.ok("k3s", "etcd-snapshot", "save", "--name", "mine")
        assert server.sh(f"ls {SNAPSHOTS}") != taken or server.sh("sleep 1") == ""
    newest = server.sh(f"ls {SNAPSHOTS} | grep ^mine- | tail -n 1")
    server.ok("k3s", "etcd-snapshot", "prune", "--name", "mine", "--snapshot-retention", "1")
    left = server.sh(f"ls {SNAPSHOTS}").split()
    assert [name for name in left if name.startswith("mine-")] == [newest]
    assert any(name.startswith("other-") for name in left)


def test_the_schedule_keeps_the_newest_of_its_own(server: Node) -> None:
    """Snapshots are taken on schedule, and as many are kept as the settings say; those on demand stay."""
    server.ok("k3s", "etcd-snapshot", "save", "--name", "by-hand")

    def scheduled() -> list[str]:
        return [name for name in server.sh(f"ls {SNAPSHOTS}").split() if name.startswith("etcd-snapshot-srv1-")]

    until(lambda: OLD_SNAPSHOTS[0] not in scheduled(), what="a scheduled snapshot in place of the oldest")
    until(lambda: len(scheduled()) == 2, what="no more than two")
    assert "by-hand-" in server.sh(f"ls {SNAPSHOTS}")
