"""From a scenario to the drill on one cluster: whom it hits, where it asks, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.choose import choose
from drkit.drill.scenario.listing import listed, loaded
from drkit.drill.scenario.model import Scenario
from drkit.drill.snapshot import Pod, Postgres
from drkit.drill.values import Injection, from_json
from drkit.errors import PreflightFailed
from tests.unit.drill.clusters import reference, three_servers

if TYPE_CHECKING:
    from drkit.drill.snapshot import Snapshot

SHIPPED = {each.name: scenario for each, scenario in loaded(listed(None))}
TWO_PAGES = ("page/docfast.example", "page/staging.docfast.example")


def _scenario(*faults: dict[str, Any], probes: tuple[dict[str, Any], ...] = ({"kind": "http"},)) -> Scenario:
    return Scenario.model_validate({"title": "t", "probes": list(probes), "faults": list(faults)})


def _injections(snapshot: Snapshot, *faults: dict[str, Any]) -> list[tuple[str, str, float]]:
    return [(each.fault, each.target, each.after) for each in choose("mine", _scenario(*faults), snapshot).injections]


def _refused(snapshot: Snapshot, scenario: Scenario) -> PreflightFailed:
    with pytest.raises(PreflightFailed) as refused:
        choose("mine", scenario, snapshot)
    assert refused.value.exit_code == 16
    return refused.value


@pytest.mark.parametrize(
    ("name", "hits"),
    [
        ("api-unreachable-for-client", [("block-client", "k3s-w2")]),
        ("backup-while-failing-over", [("delete-pod", "postgres/main-db-1")]),
        ("balancer-target-removed", [("detach", "k3s-w2")]),
        ("control-plane-down", [("power-off", "k3s-mgr")]),
        ("coredns-gone", [("delete-pod", f"kube-system/coredns-k3s-w{number}") for number in (1, 2)]),
        ("database-disk-full", [("fill-disk", "k3s-w1")]),
        ("etcd-member-killed", [("kill-process", "k3s-mgr")]),
        ("k3s-restarted", [("restart-service", "k3s-mgr")]),
        ("k3s-upgraded", [("upgrade-k3s", name) for name in ("k3s-mgr", "k3s-w1", "k3s-w2")]),
        ("memory-pressure", [("press-memory", "k3s-w2")]),
        ("node-isolated", [("isolate", "k3s-w1")]),
        ("node-isolated-from-api", [("isolate-from-api", "k3s-w2")]),
        ("pgbouncer-killed", [("delete-pod", "postgres/pooler-k3s-w1")]),
        ("primary-pod-killed", [("delete-pod", "postgres/main-db-1")]),
        ("rolling-drain", [("drain", "k3s-w2"), ("drain", "k3s-w1")]),
        ("slow-network", [("slow-network", "k3s-w2")]),
        ("two-failovers-in-a-row", [("delete-pod", f"postgres/main-db-{number}") for number in (1, 2)]),
        ("worker-down", [("power-off", "k3s-w2")]),
        ("worker-with-primary-down", [("power-off", "k3s-w1")]),
    ],
)
def test_each_shipped_scenario_fits_the_reference_cluster(name: str, hits: list[tuple[str, str]]) -> None:
    """On one server and two workers, every shipped scenario that needs no third server hits whom it says."""
    drill = choose(name, SHIPPED[name], reference())
    assert [(each.fault, each.target) for each in drill.injections] == hits
    assert (drill.scenario, drill.title) == (name, SHIPPED[name].title)
    assert all(probe.options for probe in drill.probes)
    assert from_json(drill.as_json()) == drill


def test_each_shipped_scenario_fits_one_cluster() -> None:
    """No scenario ships that neither the reference cluster nor one of three servers can run."""
    fits = []
    for name, scenario in SHIPPED.items():
        for snapshot in (reference(), three_servers()):
            try:
                fits.append(choose(name, scenario, snapshot).scenario)
            except PreflightFailed:
                continue
    assert set(fits) == set(SHIPPED)
    assert fits.count("one-server-down") == 1


def test_one_of_three_servers_is_hit_and_the_others_are_asked() -> None:
    """The API is asked of the servers that stay; what is asked is what a tunnel or a client needs."""
    drill = choose("one-server-down", SHIPPED["one-server-down"], three_servers())
    assert [each.target for each in drill.injections] == ["s1"]
    apis = [each for each in drill.probes if each.kind == "kube-api"]
    assert [each.name for each in apis] == ["kube-api/10.0.0.3:6443", "kube-api/10.0.0.4:6443"]
    assert apis[0].options == {"server": "https://10.0.0.3:6443"}
    assert apis[0].where == "https://10.0.0.3:6443/readyz"


def test_three_servers_are_wanted_where_three_are_needed() -> None:
    """With its only server down a cluster has no quorum: that is another scenario, and this one says so."""
    refused = _refused(reference(), SHIPPED["one-server-down"])
    assert "expected at least 3 nodes that are a server (control plane); there is one: k3s-mgr" in refused.message
    assert "drkit drill list" in refused.hint


def test_a_probe_knows_where_it_asks() -> None:
    """Each kind has what it needs to ask, and a name that a report can show."""
    probes = (
        {"kind": "http", "window": 15},
        {"kind": "http", "url": "https://other.example/", "address": "198.51.100.7:443", "name": "balancer"},
        {"kind": "tcp", "address": "198.51.100.7:443"},
        {"kind": "sql-write"},
        {"kind": "sql-read", "through": "replicas", "database": "docfast"},
        {"kind": "sql-read", "through": "service"},
        {"kind": "kube-api"},
        {"kind": "dns"},
    )
    drill = choose("mine", _scenario({"fault": "drain", "on": {"node": "worker"}}, probes=probes), reference())
    found = {each.name: each for each in drill.probes}
    assert list(found) == [
        *TWO_PAGES,
        "balancer",
        "tcp/198.51.100.7:443",
        "sql-write/main-db-pooler",
        "sql-read/main-db-ro",
        "sql-read/main-db-rw",
        "kube-api/10.0.0.2:6443",
        "dns/kubernetes.default.svc.cluster.local",
    ]
    assert [found[name].window for name in TWO_PAGES] == [15.0, 15.0]
    assert found["balancer"].options == {"url": "https://other.example/", "address": "198.51.100.7:443"}
    assert found["sql-write/main-db-pooler"].where == "postgres/main-db-pooler:5432/drkit_drill"
    assert found["sql-write/main-db-pooler"].options == {
        "cluster": "postgres/main-db",
        "service": "postgres/main-db-pooler",
        "address": "10.43.0.21:5432",
        "database": "drkit_drill",
        "via": "spared",
    }
    assert found["sql-read/main-db-ro"].options["database"] == "docfast"
    assert found["dns/kubernetes.default.svc.cluster.local"].options["address"] == "10.43.0.10:53"


def test_names_of_probes_are_unique() -> None:
    """Two probes of the same place, and two pages of one host, can be told apart in a report."""
    health = ("https://docfast.example/health", "https://docfast.example/login")
    probes = ({"kind": "http"}, {"kind": "sql-write", "every": 1}, {"kind": "sql-write", "session": False})
    scenario = _scenario({"fault": "drain", "on": {"node": "worker"}}, probes=probes)
    drill = choose("mine", scenario, replace(reference(), health=health))
    assert [each.name for each in drill.probes] == [
        "page/docfast.example/health",
        "page/docfast.example/login",
        "sql-write/main-db-pooler #1",
        "sql-write/main-db-pooler #2",
    ]


def test_one_after_the_other_waits_for_the_end_of_the_one_before() -> None:
    """With ``each``, a node is back, and has had its pause, before the next one is hit; ``all`` is at once."""
    drain = {"fault": "drain", "on": {"node": "worker", "which": "each"}, "after": 5, "lasts": 60}
    gone = {"fault": "delete-pod", "on": {"pod": "coredns", "which": "all"}, "after": 7}
    assert _injections(reference(), drain, gone) == [
        ("drain", "k3s-w2", 5.0),
        ("drain", "k3s-w1", 65.0),
        ("delete-pod", "kube-system/coredns-k3s-w1", 7.0),
        ("delete-pod", "kube-system/coredns-k3s-w2", 0.0),
    ]


def test_a_fault_gets_what_it_has_to_know_of_the_cluster() -> None:
    """Peers, API servers and the options, in seconds and bytes, are all in the injection: the record shows them."""
    worker = {"node": "worker"}
    faults = (
        {"fault": "isolate", "on": worker},
        {"fault": "isolate-from-api", "on": worker},
        {"fault": "block-client", "on": worker},
        {"fault": "slow-network", "on": worker, "options": {"delay": "100ms"}},
    )
    isolated, cut, blocked, slow = choose("mine", _scenario(*faults), reference()).injections
    peers = ["10.0.0.2", "10.42.0.0/24", "10.0.0.3", "10.42.1.0/24"]
    assert isolated == Injection("isolate", "k3s-w2", 0.0, 60.0, {"peers": peers})
    assert cut.options == {"servers": ["10.0.0.2:6443"]}
    assert blocked.options == {"server": "10.0.0.2:6443"}
    assert slow.options == {"delay": 0.1, "jitter": 0.0, "loss_percent": 0.0, "to": "peers", "peers": peers}


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ({"node": "worker", "name": "k3s-w9"}, "called k3s-w9 can be hit; there are 2: k3s-w2, k3s-w1"),
        ({"node": "worker", "name": "k3s-mgr"}, "no node that is a worker"),
        ({"node": "with-primary", "cluster": "postgres/other"}, "called postgres/other; there is postgres/main-db"),
    ],
)
def test_what_is_not_there_is_refused(selector: dict[str, Any], says: str) -> None:
    """What was looked for, and what there is instead, stands in the refusal."""
    assert says in _refused(reference(), _scenario({"fault": "drain", "on": selector})).message


def test_a_node_that_cannot_be_hit_is_passed_over() -> None:
    """Unready, cordoned and unknown nodes are not hit, and the refusal says which is what."""
    mgr, one, two = reference().nodes
    snapshot = replace(reference(), nodes=(mgr, replace(one, schedulable=False), replace(two, ready=False)))
    said = _refused(snapshot, _scenario({"fault": "drain", "on": {"node": "worker"}})).message
    assert "k3s-w2 is not ready, k3s-w1 is cordoned already" in said
    assert _injections(snapshot, {"fault": "power-off", "on": {"node": "worker"}}) == [("power-off", "k3s-w1", 0.0)]


@pytest.mark.parametrize(("targets", "says"), [(None, "no load balancer that is known"), (("x",), "no target of the")])
def test_only_a_target_is_detached(targets: tuple[str, ...] | None, says: str) -> None:
    """A node that the load balancer does not know is not taken from it."""
    scenario = _scenario({"fault": "detach", "on": {"node": "worker"}})
    assert says in _refused(replace(reference(), targets=targets), scenario).message


def test_a_server_is_not_cut_from_its_own_api() -> None:
    """A node that serves the API reaches it whatever is blocked: three servers without a worker have no such node."""
    scenario = _scenario({"fault": "isolate-from-api", "on": {"node": "any"}})
    assert "s1 serves the API itself" in _refused(three_servers(), scenario).message


def test_a_primary_on_a_server_is_no_workers() -> None:
    """Where servers carry the work, the scenario for workers says what to write instead."""
    refused = _refused(three_servers(), SHIPPED["worker-with-primary-down"])
    assert "postgres/main-db-1 runs on s1, a server" in refused.message
    assert "with-primary" in refused.hint


def test_no_primary_is_nobody_to_hit() -> None:
    """While a cluster fails over, no drill begins on it."""
    snapshot = replace(reference(), postgres=(Postgres("postgres", "main-db", "", ("main-db-1", "main-db-2"), 2),))
    scenario = _scenario({"fault": "delete-pod", "on": {"pod": "primary"}})
    assert "postgres/main-db has no primary now" in _refused(snapshot, scenario).message


def test_of_several_databases_one_is_named() -> None:
    """With two PostgreSQL clusters a scenario has to say which; nothing is guessed."""
    other = Postgres("shop", "orders", "orders-1", ("orders-1",))
    found = reference()
    snapshot = replace(found, postgres=(*found.postgres, other), pods=(*found.pods, Pod("shop", "orders-1", "k3s-w2")))
    scenario = _scenario({"fault": "delete-pod", "on": {"pod": "primary"}})
    assert "there are postgres/main-db, shop/orders" in _refused(snapshot, scenario).message
    chosen = {"fault": "delete-pod", "on": {"pod": "primary", "cluster": "shop/orders"}}
    assert _injections(snapshot, chosen) == [("delete-pod", "shop/orders-1", 0.0)]


def test_pods_are_chosen_by_labels() -> None:
    """Any pod with these labels, in that namespace, if enough of them are ready."""
    pods = tuple(Pod("docfast", f"app-{number}", ready=number > 1, labels={"app": "docfast"}) for number in (1, 2, 3))
    snapshot = replace(reference(), pods=(Pod("other", "app-0", labels={"app": "docfast"}), *pods))
    selector = {"pod": "any", "labels": {"app": "docfast"}, "namespace": "docfast"}
    assert _injections(snapshot, {"fault": "delete-pod", "on": selector}) == [("delete-pod", "docfast/app-2", 0.0)]
    said = _refused(snapshot, _scenario({"fault": "delete-pod", "on": {**selector, "of_at_least": 3}})).message
    assert "at least 3 ready pods: any labelled app=docfast in docfast; docfast/app-1 is not ready" in said


@pytest.mark.parametrize(
    ("probe", "without", "says"),
    [
        ({"kind": "http"}, {"health": ()}, "there is no address to ask"),
        ({"kind": "http"}, {"health": ("https://u:p@docfast.example/",)}, "no password"),
        ({"kind": "sql-write"}, {"postgres": ()}, "no PostgreSQL cluster"),
        ({"kind": "sql-write", "through": "pooler"}, {"poolers": ()}, "has no pooler"),
        ({"kind": "sql-write", "through": "service"}, {"services": ()}, "no service postgres/main-db-rw"),
        ({"kind": "dns"}, {"services": ()}, "no DNS service"),
        ({"kind": "kube-api"}, {"servers": ()}, "no server to ask (kubeconfig)"),
        ({"kind": "kube-api", "at": "spared"}, {"api": ()}, "no server to ask (spared)"),
    ],
)
def test_a_probe_without_a_place_is_refused(probe: dict[str, Any], without: dict[str, Any], says: str) -> None:
    """A drill never runs with fewer probes than its scenario asks for."""
    scenario = _scenario({"fault": "power-off", "on": {"node": "any"}}, probes=(probe,))
    refused = _refused(replace(reference(), **without), scenario).message
    assert says in refused
    assert "u:p" not in refused


def test_all_that_is_missing_is_told_at_once() -> None:
    """A scenario that lacks three things of a cluster says so in three lines."""
    faults = ({"fault": "detach", "on": {"node": "worker"}}, {"fault": "delete-pod", "on": {"pod": "coredns"}})
    snapshot = replace(reference(), targets=None, pods=(), health=())
    said = _refused(snapshot, _scenario(*faults)).message.splitlines()
    assert [line.split(":")[1].strip() for line in said] == ["faults.0 (detach)", "faults.1 (delete-pod)", "probe http"]
    assert all(line.startswith("mine: ") for line in said)


def _shuffled(snapshot: Snapshot, random: Any) -> Snapshot:
    def shuffle(items: tuple[Any, ...]) -> tuple[Any, ...]:
        kept = list(items)
        random.shuffle(kept)
        return tuple(kept)

    return replace(
        snapshot,
        nodes=shuffle(snapshot.nodes),
        services=shuffle(snapshot.services),
        targets=shuffle(snapshot.targets or ()),
    )


@given(st.sampled_from(sorted(set(SHIPPED) - {"one-server-down"})), st.randoms(use_true_random=False))
def test_the_choice_is_always_the_same(name: str, random: Any) -> None:
    """In whatever order the API lists nodes, the same cluster gives the same drill."""
    expected = choose(name, SHIPPED[name], reference())
    assert choose(name, SHIPPED[name], _shuffled(reference(), random)) == expected
