"""The plan of a cluster's rebuild: what must come before what, in both modes and for parts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.datastore.look import Kind
from drkit.restore import rebuild_plan
from drkit.restore.engine.plan import Plan, ordered
from drkit.restore.wanted import (
    ETCD,
    MANIFESTS,
    PARTS,
    Archive,
    Database,
    Datastore,
    Machine,
    PostgresCluster,
    Volume,
    Wanted,
)

if TYPE_CHECKING:
    from drkit.restore.engine.plan import Step

FILES = Archive("server-files/k3s-mgr", 5000)


def _cluster(name: str, *databases: str) -> PostgresCluster:
    filled = tuple(Database(each, Archive(f"database/{name}/{each}", 1000)) for each in databases)
    return PostgresCluster(name, filled, Archive(f"globals/{name}", 10))


def reference(mode: str = ETCD) -> Wanted:
    """The reference cluster: one server, two agents, two databases in one CloudNativePG cluster."""
    return Wanted(
        target="new-cluster",
        mode=mode,
        provider="hetzner",
        servers=(Machine("k3s-mgr", "k3s-mgr", FILES),),
        agents=(Machine("k3s-w1", "k3s-w1"), Machine("k3s-w2", "k3s-w2")),
        version="v1.34.4+k3s1",
        datastore=Datastore(Kind.EMBEDDED_ETCD, Archive("datastore", 10_000_000)) if mode == ETCD else None,
        manifests=Archive("manifests", 100_000),
        clusters=(_cluster("postgres/main-db", "docfast", "docfast_staging"),),
        balancer=True,
        dns=("docfast.dev",),
        health=True,
    )


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    """Anything that can be wanted."""
    mode = draw(st.sampled_from([ETCD, MANIFESTS, PARTS]))
    names = draw(st.lists(st.sampled_from([f"n{number}" for number in range(8)]), min_size=1, unique=True))
    count = draw(st.integers(1, len(names)))
    kind = draw(st.sampled_from(list(Kind)))
    clusters = draw(
        st.dictionaries(
            st.sampled_from(["postgres/main-db", "shop/db", "a/b"]),
            st.lists(st.sampled_from(["docfast", "x/y", "postgres"]), unique=True),
        )
    )
    own = draw(st.lists(st.sampled_from(["billing", "crm"]), unique=True))
    manifests = Archive("manifests", 7)
    return Wanted(
        target="new-cluster",
        mode=mode,
        provider=draw(st.sampled_from(["hetzner", "lab", "ssh"])),
        servers=() if mode == PARTS else tuple(Machine(name, "", FILES) for name in names[:count]),
        agents=() if mode == PARTS else tuple(Machine(name) for name in names[count:]),
        datastore=Datastore(kind, Archive("datastore", 9)) if mode == ETCD else None,
        manifests=manifests if mode == MANIFESTS else draw(st.sampled_from([None, manifests])),
        parts=("docfast/Deployment/web",) if mode == PARTS else (),
        clusters=tuple(_cluster(name, *databases) for name, databases in clusters.items()),
        databases=tuple(Database(name, Archive(f"database/{name}", 3)) for name in own),
        dsn_roles=("globals/billing",) if own else (),
        volumes=()
        if mode == PARTS
        else tuple(
            Volume(f"docfast/{name}", Archive(f"volumes/docfast/{name}", 5), "k3s-w1")
            for name in draw(st.lists(st.sampled_from(["uploads", "cache"]), unique=True))
        ),
        replace=draw(st.booleans()),
        old_is_dead=draw(st.booleans()),
        balancer=mode != PARTS and draw(st.booleans()),
        dns=("docfast.dev",) if mode != PARTS and draw(st.booleans()) else (),
        health=mode != PARTS and draw(st.booleans()),
        patches=mode != PARTS and draw(st.booleans()),
    )


def before(steps: tuple[Step, ...]) -> dict[str, set[str]]:
    """For each step all that has been done when it is begun."""
    found: dict[str, set[str]] = {}
    for step in ordered(steps):
        found[step.id] = set(step.needs).union(*(found[need] for need in step.needs))
    return found


def of(steps: tuple[Step, ...], action: str) -> list[str]:
    """The ids of the steps with this action, in the plan's order."""
    return [step.id for step in steps if step.action == action]


@given(wishes())
def test_the_same_wish_makes_the_same_plan(wanted: Wanted) -> None:
    """Steps are a function of what is wanted, and can be carried out in the order in which they are read."""
    steps = rebuild_plan.steps(wanted)
    assert steps == rebuild_plan.steps(wanted)
    Plan("new-cluster", steps, ())
    read: set[str] = set()
    for step in steps:
        assert set(step.needs) <= read
        read.add(step.id)
    assert all(step.title and step.action for step in steps)


@given(wishes())
def test_nothing_wakes_before_every_proof(wanted: Wanted) -> None:
    """Applications are released after every database is proven and named, and after the old cluster is known dead."""
    steps = rebuild_plan.steps(wanted)
    done = before(steps)
    for released in of(steps, rebuild_plan.RELEASE):
        data = {step.id for step in steps if step.action.rpartition("-")[2] in {"prove", "publish", "settings"}}
        assert data <= done[released]
        assert set(of(steps, rebuild_plan.FENCE)) <= done[released]
        assert set(of(steps, rebuild_plan.POSTGRES)) <= done[released]
        assert set(of(steps, rebuild_plan.FILLED)) <= done[released]
        assert len(of(steps, rebuild_plan.FILLED)) == len(wanted.volumes)
    assert len(of(steps, rebuild_plan.RELEASE)) == (wanted.mode != PARTS)


@given(wishes())
def test_names_are_changed_last(wanted: Wanted) -> None:
    """DNS records are changed after all else is done, health through the load balancer included."""
    steps = rebuild_plan.steps(wanted)
    for last in of(steps, rebuild_plan.DNS):
        assert before(steps)[last] == {step.id for step in steps} - {last}


@given(wishes())
def test_k3s_starts_on_a_machine_that_is_ready_for_it(wanted: Wanted) -> None:
    """A machine is there, marked, has k3s and its files, before anything is started or joined on it."""
    steps = rebuild_plan.steps(wanted)
    done = before(steps)
    for _, machine in wanted.machines:
        wakes = [
            step.id
            for step in steps
            if step.action in {"datastore", "start", "join"} and step.details["name"] == machine.name
        ]
        assert wakes
        for step in wakes:
            assert {f"{action} {machine.name}" for action in ("server", "mark", "k3s", "files")} <= done[step]
    if wanted.provider == "ssh":
        assert not of(steps, rebuild_plan.NETWORK)


@given(wishes())
def test_members_of_an_etcd_join_one_after_another(wanted: Wanted) -> None:
    """Two servers never join an etcd at a time; agents wait for all servers and for nothing of each other."""
    steps = rebuild_plan.steps(wanted)
    done = before(steps)
    joins = of(steps, rebuild_plan.JOIN)
    servers = [f"join {each.name}" for each in wanted.servers[1:]]
    agents = [f"join {each.name}" for each in wanted.agents]
    assert joins == servers + agents
    with_etcd = wanted.datastore is None or wanted.datastore.kind is Kind.EMBEDDED_ETCD
    for earlier, later in pairwise(servers):
        assert (earlier in done[later]) is with_etcd
    for agent in agents:
        assert set(servers) <= done[agent]
        assert not set(agents) & done[agent]


@given(wishes())
def test_a_database_waits_for_its_primary_alone(wanted: Wanted) -> None:
    """What is in a pod comes after its cluster's primary; what has a connection string waits for no machine."""
    steps = rebuild_plan.steps(wanted)
    done = before(steps)
    for step in steps:
        if step.action.startswith(rebuild_plan.IN_POD):
            primary = f"postgres {step.details['cluster']}" if wanted.mode != PARTS else "reach"
            assert primary in done[step.id]
        elif step.action == "create":
            assert not {each for each in done[step.id] if each.startswith(("server", "start", "postgres"))}


@given(wishes())
def test_what_takes_over_a_name_waits_until_it_is_free(wanted: Wanted) -> None:
    """With --replace the old cluster is fenced before anything is made; otherwise only before anything wakes."""
    steps = rebuild_plan.steps(wanted)
    done = before(steps)
    fences = of(steps, rebuild_plan.FENCE)
    made = of(steps, rebuild_plan.MAKE)
    assert all((set(fences) <= done[step]) is bool(wanted.replace) for step in made) or not made
    assert all(step.details["vouched"] is wanted.old_is_dead for step in steps if step.id in fences)


def test_the_reference_cluster_with_its_old_identity() -> None:
    """The steps of mode etcd as people read them."""
    assert [step.id for step in rebuild_plan.steps(reference())] == [
        "network",
        *(
            f"{action} {name}"
            for action in ("server", "mark", "k3s", "files")
            for name in ("k3s-mgr", "k3s-w1", "k3s-w2")
        ),
        "datastore k3s-mgr",
        "wake k3s-mgr",
        "scrub",
        "start k3s-mgr",
        "join k3s-w1",
        "join k3s-w2",
        "labels",
        "postgres postgres/main-db",
        "roles postgres/main-db",
        *(
            f"{action} postgres/main-db/{name}"
            for name in ("docfast", "docfast_staging")
            for action in ("create", "load", "analyze", "prove", "publish", "settings")
        ),
        "fence",
        "release",
        "objects",
        "balancer",
        "health",
        "dns",
    ]


def test_the_reference_cluster_with_a_fresh_identity() -> None:
    """Mode manifests starts an empty cluster and applies the objects, held, before any database is made."""
    steps = rebuild_plan.steps(reference(MANIFESTS))
    ids = [step.id for step in steps]
    assert not {"datastore k3s-mgr", "wake k3s-mgr", "scrub"} & set(ids)
    done = before(steps)
    assert "labels" in done["objects apply"]
    assert "objects apply" in done["postgres postgres/main-db"]
    assert next(step for step in steps if step.id == "files k3s-mgr").details["fresh_identity"] is True


def test_parts_touch_no_machine() -> None:
    """Parts go into a cluster that is there: no machine, no DNS, no database's cluster is made."""
    wanted = Wanted(
        target="new-cluster",
        mode=PARTS,
        manifests=Archive("manifests"),
        parts=("docfast/Deployment/web",),
        clusters=(_cluster("postgres/main-db", "docfast"),),
    )
    ids = [step.id for step in rebuild_plan.steps(wanted)]
    assert ids[:3] == ["reach", "objects apply", "roles postgres/main-db"]
    assert not [each for each in ids if each.startswith(("server", "postgres", "release", "dns", "fence"))]


def test_mode_etcd_has_a_datastore() -> None:
    """A wish that contradicts itself is no plan."""
    with pytest.raises(ValueError, match="without a datastore"):
        rebuild_plan.steps(Wanted("x", ETCD, servers=(Machine("a"),)))


def test_a_rehearsal_fences_nobody_and_says_when_it_is_over() -> None:
    """The living cluster is not looked for; whoever makes, applies, wakes or compares knows that it is a rehearsal."""
    over = "2026-03-02T12:00:00Z"
    wanted = replace(reference(MANIFESTS), balancer=False, dns=(), health=False, expires=over)
    steps = rebuild_plan.steps(wanted)
    assert rebuild_plan.FENCE not in {step.action for step in steps}
    told = {step.action for step in steps if step.details.get("expires") == over}
    assert told == {
        *(rebuild_plan.MAKE, rebuild_plan.APPLY, rebuild_plan.POSTGRES, rebuild_plan.RELEASE, rebuild_plan.OBJECTS)
    }
    assert all("expires" not in step.details for step in rebuild_plan.steps(reference(MANIFESTS)))
