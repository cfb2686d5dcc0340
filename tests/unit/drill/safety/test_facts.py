"""What is found out before a drill: of backups, etcd, budgets and the Lease."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster.api import connect
from drkit.cluster.transport import PROMPT
from drkit.config.model import Drills
from drkit.drill.facts import BACKUP_LIMIT, budget, gather, members
from drkit.drill.lease import Timing, hold
from drkit.drill.safety.backup import relied_on
from drkit.drill.safety.facts import Backup, Facts, Member
from drkit.errors import VaultUnreachable
from drkit.points.catalogue import Catalogue
from tests.contract.api_server import MemoryApi, memory_api, resource
from tests.unit.builders import NOON, failed, point, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.points.point import Point

LEASES = resource("leases", "Lease", "coordination.k8s.io")
HOUR = timedelta(hours=1)


def listed(*points: Point) -> Catalogue:
    """What the vaults hold, newest first."""
    return Catalogue(tuple(sorted(points, key=lambda each: each.summary.created, reverse=True)))


def test_every_source_has_a_verified_backup() -> None:
    """A daily point of the cluster and later ones of the databases are relied on together: the oldest counts."""
    cluster = point(NOON - 9 * HOUR, [source("manifests"), source("datastore")], verified="checksums")
    databases = point(NOON - 3 * HOUR, [source()], verified="restored", tail="def456")
    assert relied_on(listed(cluster, databases), 1.0) == Backup(NOON - 9 * HOUR, limit=1.0)


def test_a_newer_point_that_nobody_verified_does_not_count() -> None:
    """What was not verified is not relied on; the one before is."""
    old, new = point(NOON - 9 * HOUR, verified="checksums"), point(NOON, tail="def456")
    assert relied_on(listed(old, new), None).created == NOON - 9 * HOUR


@pytest.mark.parametrize("newest", [[source(), source("database/other")], [source(), failed("database/other")]])
def test_a_source_without_a_verified_backup_is_named(newest: list[Any]) -> None:
    """A source that is backed up now, or should be, and is in no verified point, is not there to be brought back."""
    old = point(NOON - HOUR, verified="checksums")
    found = relied_on(listed(old, point(NOON, newest, verified="checksums" if newest[1].ok else None, tail="d")), 1.0)
    if newest[1].ok:
        assert found.created == NOON
    else:
        assert "database/other" in found.said


def test_a_source_that_is_gone_is_not_waited_for() -> None:
    """A database that the newest point does not have any more makes no backup old."""
    old = point(NOON - 90 * HOUR, [source(), source("database/gone")], verified="checksums")
    new = point(NOON, [source()], verified="checksums", tail="def456")
    assert relied_on(listed(old, new), None).created == NOON


def test_an_archive_that_is_gone_does_not_count() -> None:
    """A verified point that has since lost its archive is not relied on."""
    assert relied_on(listed(point(missing=["database/billing"], verified="checksums")), None).created is None


def test_nothing_to_rely_on() -> None:
    """Without points there is none; what kept them from being listed is said."""
    assert relied_on(Catalogue(), 1.0).said == "there is no recovery point"
    assert relied_on(Catalogue(problems=(VaultUnreachable("no route"),)), 1.0).said == "no route"


def node(name: str, *conditions: tuple[str, str], etcd: bool = True) -> dict[str, Any]:
    """A node."""
    return {
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/etcd": "true"} if etcd else {}},
        "status": {"conditions": [{"type": kind, "status": status} for kind, status in conditions]},
    }


def test_members_of_etcd_are_told_by_their_nodes() -> None:
    """A member is well where its node is ready and, where k3s says so, a voter; nodes without etcd are none."""
    nodes = [
        node("s1", ("Ready", "True"), ("EtcdIsVoter", "True")),
        node("s2", ("Ready", "True"), ("EtcdIsVoter", "False")),
        node("s3", ("Ready", "Unknown")),
        node("s4", ("Ready", "True")),
        node("w1", ("Ready", "True"), etcd=False),
    ]
    assert members(nodes) == (
        Member("s1", well=True),
        Member("s2", well=False),
        Member("s3", well=False),
        Member("s4", well=True),
    )


def pod(name: str, where: str, app: str, **metadata: Any) -> dict[str, Any]:
    """A pod."""
    return {
        "metadata": {"namespace": "a", "name": name, "labels": {"app": app}, **metadata},
        "spec": {"nodeName": where},
    }


@pytest.mark.parametrize(
    ("selector", "where"),
    [
        ({"matchLabels": {"app": "web"}}, {"w1": 2, "w2": 1}),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, {"w2": 1}),
        ({}, {"w1": 2, "w2": 2}),
        (None, {}),
    ],
)
def test_where_a_budgets_pods_are(selector: dict[str, Any] | None, where: dict[str, int]) -> None:
    """The pods that a budget means are counted by node, those alone that a drain would take away."""
    thing = {
        "metadata": {"namespace": "a", "name": "web"},
        "spec": {"selector": selector},
        "status": {"disruptionsAllowed": 1},
    }
    daemon = [{"kind": "DaemonSet", "name": "agent", "controller": True}]
    pods = [
        pod("1", "w1", "web"),
        pod("2", "w1", "web"),
        pod("3", "w2", "web"),
        pod("4", "w2", "db"),
        pod("5", "w2", "web", deletionTimestamp="2026-03-01T12:00:00Z"),
        pod("6", "w2", "web", ownerReferences=daemon),
        pod("7", "w2", "web", namespace="b"),
        pod("8", "", "web"),
    ]
    found = budget(thing, pods)
    assert (found.name, found.allowed, found.pods) == ("a/web", 1, where)


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A cluster of which only the Lease is asked."""
    with memory_api() as made:
        made.resources = [LEASES]
        yield made


def unread() -> Catalogue:
    """Vaults that nobody may have to ask."""
    raise AssertionError


def unreachable() -> Catalogue:
    """Vaults that do not answer."""
    raise VaultUnreachable("the box does not answer")


def found_out(
    memory: MemoryApi, drills: Drills, catalogue: Callable[[], Catalogue], *, lab: bool, holder: str = ""
) -> Facts:
    """The facts of a drill on an empty cluster."""
    return gather(
        now=NOON,
        drills=drills,
        lab=lab,
        prepared=(),
        found={},
        problems=(),
        api=connect(memory.access, PROMPT),
        catalogue=catalogue,
        holder=holder,
    )


def test_the_age_of_the_backup_counts_outside_of_labs(memory: MemoryApi) -> None:
    """A lab asks no vault, unless it was told a limit; any other cluster does, with a day and two hours by default."""
    ask = partial(listed, point(verified="checksums"))
    assert found_out(memory, Drills(), unread, lab=True).backup == Backup()
    assert found_out(memory, Drills(backup_limit=60.0), ask, lab=True).backup == Backup(NOON, limit=60.0)
    assert found_out(memory, Drills(), ask, lab=False).backup == Backup(NOON, limit=BACKUP_LIMIT)
    assert found_out(memory, Drills(), unreachable, lab=False).backup == Backup(
        said="the box does not answer", limit=BACKUP_LIMIT
    )


def test_who_holds_the_lease_is_not_in_his_own_way(memory: MemoryApi) -> None:
    """The Lease that this drill holds is none of another's."""
    with hold(connect(memory.access, PROMPT), "drill", timing=Timing(look=0.02)) as holding:
        assert found_out(memory, Drills(), unread, lab=True, holder=holding.identity).held is None
        other = found_out(memory, Drills(), unread, lab=True).held
        assert other is not None
        assert other.holder == holding.identity
    assert found_out(memory, Drills(), unread, lab=True).held is None
