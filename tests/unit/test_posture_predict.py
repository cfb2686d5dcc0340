"""Settings are found where they stand; the windows that follow are those of the formulas and of what was measured."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.values import CONTROL_PROBE, Drill, Injection, Probe
from drkit.drill.verdict import PARTS
from drkit.errors import UsageError
from drkit.lab.balancer import INGRESS
from drkit.lab.balancer import Setting as LabSetting
from drkit.posture import paths, windows
from drkit.posture.paths import DRAINED, NODE_DOWN, NODE_ISOLATED, POD_DELETED, TARGET_REMOVED, Failure, Target
from drkit.posture.predict import failure_of, for_drill, predict, target_of
from drkit.posture.reading import settings
from drkit.posture.reading.balancers import lab_checks
from drkit.posture.whatif import KEYS, what_if
from tests.unit.posture_cluster import Objects, node, pods, snapshot, workload

if TYPE_CHECKING:
    from collections.abc import Callable


PAGE = Target("http", workload="docfast/docfast", port=443)
WRITE = Target("sql-write", database="postgres/main-db", route="rw")


def plain(listed: Objects) -> None:
    """Commits that wait for nobody, as where the measurements were made."""
    del listed["clusters.postgresql.cnpg.io"][0]["spec"]["postgresql"]["synchronous"]


def bounds(found: paths.Prediction) -> tuple[float, float]:
    """At least, and at most."""
    return found.seconds - found.error, found.seconds + found.error


def test_settings_say_where_they_stand() -> None:
    """Each number can be traced to the object or the default that it comes from."""
    found = settings(snapshot())
    assert (found.version, found.servers, found.agents) == ("v1.34.4+k3s1", ("k3s-mgr",), ("k3s-w1", "k3s-w2"))
    assert (found.loss.grace.value, found.loss.grace.where) == (
        50,
        "default of node-monitor-grace-period since Kubernetes 1.32",
    )
    app = next(each for each in found.workloads if each.name == "docfast")
    assert (app.nodes, app.eviction.value) == (("k3s-w1", "k3s-w2"), 10)
    assert app.eviction.where == "tolerations of Deployment docfast/docfast"
    assert app.readiness is not None
    assert (app.readiness.period.value, app.readiness.failures.value) == (5, 2)
    web = next(each for each in found.checks if each.port == 443)
    assert (web.targets, web.interval.value, web.timeout.value, web.retries.value) == (("k3s-w1", "k3s-w2"), 15, 10, 3)
    assert web.interval.where == "health check of k3s-lb, port 443"
    database, pooler = found.databases[0], found.poolers[0]
    assert (database.primary, database.synchronous, database.switchover_delay.value) == ("k3s-w2", "preferred", 3600)
    assert (pooler.login_retry.value, pooler.login_retry.where) == (15, "PgBouncer's default of server_login_retry")
    assert found.dns_ttl is not None
    assert (found.dns_ttl.value, found.dns_ttl.where) == (300, "A record docfast.example")
    assert found.as_json()["loss"]["grace"]["value"] == 50


def test_settings_of_k3s_are_read_from_what_its_servers_were_told() -> None:
    """A grace period in k3s's configuration counts, in each of the ways in which it can be written."""
    said = '["server","--kube-controller-manager-arg","node-monitor-grace-period=16s",'
    said += '"--kube-controller-manager-arg=node-monitor-period=2s"]'

    def tuned(listed: Objects) -> None:
        listed["nodes"][0] = node("k3s-mgr", "10.0.0.2", server=True, args=said)

    found = settings(snapshot(tuned)).loss
    assert (found.grace.value, found.period.value) == (16, 2)
    assert found.grace.where == "kube-controller-manager-arg of k3s-mgr: node-monitor-grace-period=16s"

    def silent(listed: Objects) -> None:
        listed["nodes"][0] = node("k3s-mgr", "10.0.0.2", server=True, args="not JSON")

    told = {"k3s-mgr": ("server", "--kube-controller-manager-arg=node-monitor-grace-period=20s")}
    assert settings(snapshot(silent, told=told)).loss.grace.value == 20


def test_kubernetes_before_1_32_waits_ten_seconds_less() -> None:
    """The default of the grace period is that of the servers' version."""

    def old(listed: Objects) -> None:
        for each in listed["nodes"]:
            each["status"]["nodeInfo"]["kubeletVersion"] = "v1.31.5+k3s1"

    assert settings(snapshot(old)).loss.grace.value == 40


@pytest.mark.parametrize(
    ("wished", "low", "high"),
    [("", 40, 55), ("node.grace=40s", 30, 45), ("node.grace=16s", 10, 25), ("node.grace=10s", 0, 15)],
)
def test_a_lost_node_is_noticed_within_the_bounds_of_the_node_controller(wished: str, low: float, high: float) -> None:
    """The bounds are those that the controller's own loop gives: 40 to 55 s with the defaults."""
    found = windows.node_lost(what_if(settings(snapshot()), wished).loss)
    assert (found.low, found.high) == (low, high)


@given(
    fault=st.floats(0, 100),
    looks=st.floats(0, 5, exclude_max=True),
    renewals=st.floats(0, 10, exclude_max=True),
    grace=st.integers(6, 120),
)
def test_the_formula_holds_for_the_loop_that_it_is_about(
    fault: float, looks: float, renewals: float, grace: int
) -> None:
    """Whenever a node ends, and however loops are shifted, the node controller finds out within the bounds."""
    loss = what_if(settings(snapshot()), f"node.grace={grace}s").loss
    last = renewals + 10 * math.floor((fault + 200 - renewals) / 10) - 200
    seen = looks + 5 * math.ceil((last - looks) / 5)
    noticed = next(at for k in range(1000) if (at := seen + 5 * k) >= max(seen + grace, fault))
    found = windows.node_lost(loss)
    assert found.low - 1e-6 <= noticed - fault <= found.high + 1e-6


@pytest.mark.parametrize(
    ("wished", "most", "least"),
    [("", 55, 40), ("lb.interval=3s,lb.timeout=1s", 10, 7), ("lb.interval=3s", 12, 9)],
)
def test_a_black_holed_target_is_given_up_after_the_last_check_in_a_row(wished: str, most: float, least: float) -> None:
    """15/10/3 may take 55 s and 3/1/3 10 s, and no check is longer than the interval."""
    found = windows.black_holed(what_if(settings(snapshot()), wished).checks[0])
    assert (found.low, found.high) == (least, most)


def test_a_page_fails_until_balancer_and_endpoints_have_dropped_the_node() -> None:
    """Of two targets half of the questions fail at the balancer, half of the rest behind it; the slower one counts."""
    found = predict(settings(snapshot()), PAGE, Failure(NODE_DOWN, "k3s-w1"))
    assert bounds(found) == (40, 57)
    assert (found.share, found.lasting) == (0.75, False)
    assert found.parts == (("detection", 47.5), ("endpoint removal", 1.0))
    quick = predict(what_if(settings(snapshot()), "node.grace=10s"), PAGE, Failure(NODE_DOWN, "k3s-w1"))
    assert bounds(quick) == (40, 55)
    assert quick.parts == (("detection", 7.5), ("endpoint removal", 1.0), ("load balancer check", 39.0))


def test_nothing_fails_for_longer_than_its_node_is_away() -> None:
    """A node that is back before its loss is noticed ends the window by coming back."""
    found = predict(settings(snapshot()), PAGE, Failure(NODE_DOWN, "k3s-w1", lasts=10))
    assert bounds(found) == (15, 50)
    assert found.parts == (("detection", 32.5),)
    cut_off = predict(settings(snapshot()), WRITE, Failure(NODE_ISOLATED, "k3s-w1", lasts=5))
    assert bounds(cut_off) == (5, 7)


def test_a_tuned_balancer_alone_does_not_make_a_page_quick() -> None:
    """Who tunes the check and not the grace period is told what goes on failing."""
    tuned = what_if(settings(snapshot()), "lb.interval=3s,lb.timeout=1s")
    assert bounds(predict(tuned, PAGE, Failure(NODE_DOWN, "k3s-w1"))) == (40, 57)
    both = what_if(settings(snapshot()), "lb.interval=3s,lb.timeout=1s,node.grace=10s")
    assert predict(both, PAGE, Failure(NODE_DOWN, "k3s-w1")).seconds < 15


def names_elsewhere(listed: Objects) -> None:
    """CoreDNS on workers alone."""
    listed["pods"] = [
        each
        for each in listed["pods"]
        if each["metadata"]["labels"].get("app") != "coredns" or each["spec"]["nodeName"] != "k3s-mgr"
    ]


def test_a_control_plane_that_serves_no_page_takes_none_away() -> None:
    """Pages do not depend on a node that is no target and has none of their pods, nor of those that resolve names."""
    found = predict(settings(snapshot(names_elsewhere)), PAGE, Failure(NODE_DOWN, "k3s-mgr"))
    assert (found.seconds, found.error, found.parts) == (0, 0, ())


@pytest.mark.parametrize("asked", [PAGE, dataclasses.replace(WRITE, route="pooler")])
def test_a_control_plane_with_a_resolver_may_take_pages_away(asked: Target) -> None:
    """Nobody takes the dead CoreDNS from its service: who connects by name may fail until it is back, or not at all."""
    found = predict(settings(snapshot(plain)), asked, Failure(NODE_DOWN, "k3s-mgr", lasts=90))
    assert (*bounds(found), found.share, found.lasting) == (0, 130, 0.333, True)
    assert predict(settings(snapshot(plain)), WRITE, Failure(NODE_DOWN, "k3s-mgr")).seconds == 0
    isolated = predict(settings(snapshot(plain)), asked, Failure(NODE_ISOLATED, "k3s-mgr"))
    assert isolated.share != 0.333


@pytest.mark.parametrize(
    ("failure", "low", "high", "share"),
    [
        (Failure(POD_DELETED, pod_of="docfast/docfast"), 0, 2, 0.5),
        (Failure(DRAINED, "k3s-w1"), 0, 2, 0.5),
        (Failure(TARGET_REMOVED, "k3s-w1"), 0, 1, 0.5),
    ],
)
def test_what_is_told_beforehand_costs_a_page_next_to_nothing(
    failure: Failure, low: float, high: float, share: float
) -> None:
    """A deletion, a drain and a removed target are known at once."""
    found = predict(settings(snapshot()), PAGE, failure)
    assert (*bounds(found), found.share) == (low, high, share)


def alone(listed: Objects) -> None:
    """The application has one pod."""
    app = workload("Deployment", "docfast", "docfast", 1)
    listed["deployments.apps"][0] = app
    listed["pods"] = [*pods(app, "k3s-w1"), *listed["pods"][2:]]


def test_a_single_pod_is_gone_until_it_runs_elsewhere() -> None:
    """Grace period, toleration, start and readiness add up; tolerated for longer, it is away as long as its node."""
    found = predict(settings(snapshot(alone)), PAGE, Failure(NODE_DOWN, "k3s-w1", lasts=120))
    assert bounds(found) == (40 + 10 + 1, 55 + 10 + 15 + 5)
    assert dict(found.parts)["endpoint removal"] == 10
    default = what_if(settings(snapshot(alone)), "toleration=300s")
    waits = predict(default, PAGE, Failure(NODE_DOWN, "k3s-w1", lasts=120))
    assert waits.lasting
    assert waits.seconds > 120


def test_an_isolated_node_answers_for_others_until_it_is_let_out() -> None:
    """Its checks go on to succeed, while what it forwards goes lost: nothing but the undo ends that."""
    found = predict(settings(snapshot()), PAGE, Failure(NODE_ISOLATED, "k3s-w1", lasts=90))
    assert found.lasting
    assert found.seconds >= 90


@pytest.mark.parametrize(("grace", "measured"), [("10s", 19.4), ("50s", 29.0)])
def test_a_write_is_predicted_as_it_was_measured(grace: str, measured: float) -> None:
    """What the real operator 1.25.1 took on Kubernetes 1.34.4 lies within the bounds, for both grace periods."""
    found = what_if(settings(snapshot(plain)), f"node.grace={grace}")
    low, high = bounds(predict(found, WRITE, Failure(NODE_DOWN, "k3s-w2")))
    assert low <= measured <= high


def led_by(where: str) -> Callable[[Objects], None]:
    """The operator's leader is on this node."""

    def change(listed: Objects) -> None:
        plain(listed)
        leader = f"cnpg-controller-manager-{where}{('k3s-w1', 'k3s-w2').index(where)}"
        listed["leases.coordination.k8s.io"] = [
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": "db9c8771.cnpg.io", "namespace": "cnpg-system"},
                "spec": {"holderIdentity": f"{leader}_0b0e9f", "leaseDurationSeconds": 15},
            }
        ]

    return change


def test_where_the_operator_works_decides_who_notices() -> None:
    """A leader beside the primary dies with it, and the next looks at once; another waits for the node controller."""
    beside = predict(settings(snapshot(led_by("k3s-w2"))), WRITE, Failure(NODE_DOWN, "k3s-w2"))
    elsewhere = predict(settings(snapshot(led_by("k3s-w1"))), WRITE, Failure(NODE_DOWN, "k3s-w2"))
    assert bounds(beside)[1] < 31
    assert bounds(elsewhere)[0] > 40


def test_commits_that_wait_for_a_replica_wait_until_its_node_counts_as_lost() -> None:
    """With two instances the other one's node is what a write waits for, whichever of the two is lost."""
    for lost in ("k3s-w1", "k3s-w2"):
        found = predict(settings(snapshot()), WRITE, Failure(NODE_DOWN, lost))
        assert bounds(found)[0] >= 40
    reading = predict(
        settings(snapshot()), Target("sql-read", database="postgres/main-db"), Failure(NODE_DOWN, "k3s-w1")
    )
    assert reading.seconds == 0


def test_a_pooler_on_the_lost_node_and_its_way_back_count() -> None:
    """Through a pooler half of the questions go lost with its node, and it takes PgBouncer's time to come back."""
    pooled = Target("sql-write", database="postgres/main-db", route="pooler")
    found = settings(snapshot(led_by("k3s-w2")))
    direct, through = (predict(found, each, Failure(NODE_DOWN, "k3s-w2")) for each in (WRITE, pooled))
    assert bounds(through)[0] >= 40
    assert through.seconds > direct.seconds
    tuned = what_if(found, "pooler.login-retry=1s,pooler.connect-timeout=3s,node.grace=10s")
    assert predict(tuned, pooled, Failure(NODE_DOWN, "k3s-w2")).seconds < through.seconds


def test_one_server_is_gone_until_it_is_back_and_one_of_three_is_not() -> None:
    """The API of a single server lasts as long as its node is down; of three, another leader is found in seconds."""
    one = predict(settings(snapshot()), Target("kube-api"), Failure(NODE_DOWN, "k3s-mgr", lasts=60))
    assert one.lasting
    assert one.seconds > 60

    def three(listed: Objects) -> None:
        listed["nodes"] = [node(f"s{n}", f"10.0.0.{n}", server=True, etcd=True) for n in (1, 2, 3)]

    found = settings(snapshot(three))
    another = predict(found, Target("kube-api", server="s2"), Failure(NODE_DOWN, "s1", lasts=60))
    assert not another.lasting
    assert bounds(another) == (0, 12)
    assert predict(found, Target("kube-api", server="s1"), Failure(NODE_DOWN, "s1", lasts=60)).lasting

    def two(listed: Objects) -> None:
        listed["nodes"] = [node(f"s{n}", f"10.0.0.{n}", server=True, etcd=True) for n in (1, 2)]

    assert predict(settings(snapshot(two)), Target("kube-api", server="s2"), Failure(NODE_DOWN, "s1")).lasting


def test_nobody_notices_a_loss_that_takes_the_control_plane_along() -> None:
    """What was on the only server goes on being asked until it is back: no controller is left to see it."""
    found = predict(settings(snapshot()), Target("dns"), Failure(NODE_DOWN, "k3s-mgr", lasts=90))
    assert found.lasting
    assert (found.seconds > 90, found.share) == (True, 0.333)


def test_another_controller_counts_from_its_own_begin() -> None:
    """Where one of three servers is lost its controller may be the one that worked: that takes a lease longer."""

    def three(listed: Objects) -> None:
        listed["nodes"] += [node(f"k3s-s{n}", f"10.0.0.{n}", server=True, etcd=True) for n in (5, 6)]

    found = windows.noticed(settings(snapshot(three)), "k3s-mgr")
    assert found is not None
    assert (found.low, found.high) == (40, 17.4 + 55)


def test_names_fail_for_a_third_until_the_node_is_noticed() -> None:
    """CoreDNS on three nodes loses a third of the questions with one of them."""
    found = predict(settings(snapshot()), Target("dns"), Failure(NODE_DOWN, "k3s-w1"))
    assert (*bounds(found), found.share) == (40, 57, 0.333)


def test_the_stand_in_promotes_by_its_own_lease() -> None:
    """Of the lab's stand-in Patroni's times are predicted, not those of the real operator."""

    def stand_in(listed: Objects) -> None:
        listed["deployments.apps"][2]["metadata"] |= {"name": "cnpg-stand-in", "labels": {}}

    found = settings(snapshot(stand_in))
    assert found.operator is not None
    assert found.operator.stand_in
    low, high = bounds(predict(found, WRITE, Failure(NODE_DOWN, "k3s-w2")))
    assert low >= 15
    assert high <= 35


@pytest.mark.parametrize("failure", paths.FAILURES)
@pytest.mark.parametrize("kind", ["http", "tcp", "dns", "kube-api", "sql-read", "sql-write"])
@pytest.mark.parametrize("route", [paths.POOLER, paths.RW, paths.RO, paths.R])
def test_every_probe_and_failure_has_a_prediction_whose_parts_add_up(kind: str, route: str, failure: str) -> None:
    """The parts are the verdict's own, are all longer than nothing, and make up the whole."""
    target = Target(kind, workload="docfast/docfast", port=443, database="postgres/main-db", route=route)
    for where in ("k3s-mgr", "k3s-w1", "k3s-w2"):
        of = "docfast/docfast" if kind in {"http", "tcp"} else "postgres/main-db"
        found = predict(settings(snapshot()), target, Failure(failure, where, of if failure == POD_DELETED else ""))
        assert found.seconds == pytest.approx(sum(spent for _, spent in found.parts))
        assert {name for name, _ in found.parts} <= set(PARTS)
        assert all(spent > 0 for _, spent in found.parts)
        assert 0 <= found.error <= found.seconds + 1e-9
        assert set(found.as_json()) == {"seconds", "error", "parts"}


def asked(kind: str, **options: str) -> Probe:
    """A probe."""
    return Probe(kind, kind, "", 0.2, 2.0, 15.0, options=options)


def test_a_drill_gets_a_prediction_for_each_of_its_probes() -> None:
    """Probes are led to what answers them: by the Ingress of a host, the service of a database, a server's address."""
    found = settings(snapshot())
    page = asked("http", url="https://docfast.example/health", address="127.0.0.1:8443")
    write = asked("sql-write", cluster="postgres/main-db", service="postgres/main-db-pooler")
    assert target_of(found, page) == PAGE
    assert target_of(found, write) == Target("sql-write", database="postgres/main-db", route="pooler")
    for service, route in (("rw", "rw"), ("ro", "ro"), ("r", "r")):
        read = asked("sql-read", cluster="postgres/main-db", service=f"postgres/main-db-{service}")
        assert target_of(found, read).route == route
    assert target_of(found, asked("kube-api", server="https://10.0.0.2:6443")).server == "k3s-mgr"
    assert target_of(found, asked("tcp", address="192.0.2.9:443")).port == 443
    drill = Drill(
        scenario="worker-down",
        title="",
        probes=(page, write, CONTROL_PROBE),
        injections=(Injection("power-off", "k3s-w1", 5.0, 60.0),),
        steady_seconds=5.0,
        needed=5,
        settle_seconds=300.0,
    )
    assert set(for_drill(found, drill)) == {"http", "sql-write"}
    assert for_drill(found, drill)["http"] == predict(found, PAGE, Failure(NODE_DOWN, "k3s-w1")).as_json()
    unknown = dataclasses.replace(drill, injections=(Injection("slow-network", "k3s-w1", 5.0, 60.0),))
    assert for_drill(found, unknown) == {}
    deleted = Injection("delete-pod", "docfast/docfast-6f9c-x2", 5.0, 60.0)
    assert failure_of(found, deleted) == Failure(POD_DELETED, pod_of="docfast/docfast", lasts=60.0)


def test_what_if_refuses_what_cannot_be() -> None:
    """Unknown keys, words that are no durations, and checks that Hetzner refuses are said, with what there is."""
    found = settings(snapshot())
    for wished in (
        "lb.intervall=3s",
        "lb.interval=soon",
        "lb.interval",
        "lb.interval=1s",
        "node.grace=0s",
        "cnpg.lease=3s",
    ):
        with pytest.raises(UsageError):
            what_if(found, wished)
    assert what_if(found, "") == found


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"cnpg.lease"}))
def test_every_key_of_what_if_changes_something(key: str) -> None:
    """No key is listed that has no effect on a cluster that has all of it, and the change says what it is."""
    changed = what_if(settings(snapshot()), f"{key}=7s")
    assert f"--what-if {key}=7s" in str(changed)


def test_the_labs_balancer_is_read_like_any_other() -> None:
    """A lab has no topology at a provider: its balancer says its targets and checks itself."""
    listed = lab_checks(LabSetting(INGRESS, {"k3s-w1": "10.0.0.3", "k3s-w2": "10.0.0.4"}), "lb")
    found = settings(snapshot(around=lambda project: project["load_balancers"].clear()), listed)
    assert [each.port for each in found.checks] == [80, 443]
    assert bounds(predict(found, PAGE, Failure(NODE_DOWN, "k3s-w1"))) == (40, 57)
