"""The stand-in for k3s: its configuration, schedules, snapshots, and how it calls each component."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drkit.lab.k3s.standin import addons, agent, components, cron, datastore, join, runtime, settings, snapshots, store
from drkit.lab.k3s.standin.problem import Fatal

NOON = datetime(2026, 2, 27, 12, 0, 30, tzinfo=UTC)


def merged(file: dict[str, Any], *arguments: str, environment: dict[str, str] | None = None) -> settings.Settings:
    """The settings of one file and a command line."""
    return settings.merge(file, environment or {}, settings.parse_arguments(arguments))


def test_the_command_line_wins_over_file_and_environment() -> None:
    """An option counts before the file, which counts before the environment, as in k3s."""
    file = {"token": "file", "server": "https://file:6443", "node-name": "file"}
    environment = {"K3S_TOKEN": "environment", "K3S_URL": "https://environment:6443"}
    found = merged(file, "--token", "line", environment=environment)
    assert (found.token, found.server, found.node_name) == ("line", "https://file:6443", "file")
    assert merged(file, environment=environment).token == "file"


def test_lists_are_given_in_any_of_their_forms() -> None:
    """A list option is repeated on the command line, and a list or comma-separated text in the file."""
    assert merged({}, "--tls-san=a", "--tls-san", "b").tls_san == ("a", "b")
    assert merged({"tls-san": ["a", "b"], "disable": "coredns,local-storage"}).disable == ("coredns", "local-storage")
    assert merged({"tls-san": ["a"]}, "--tls-san=b").tls_san == ("b",)


def test_later_files_replace_or_add() -> None:
    """A part of the configuration replaces what came before, and adds to it with a plus."""
    found = settings.merge_files([{"token": "a", "tls-san": "one"}, {"token": "b", "tls-san+": ["two"]}])
    assert found == {"token": "b", "tls-san": ["one", "two"]}


def test_unknown_keys_are_skipped_and_unknown_options_refused() -> None:
    """k3s warns of a key in the file that it does not know, and does not start with an option that it does not know."""
    assert merged({"flannel-backend": "vxlan"}).skipped == ("flannel-backend",)
    with pytest.raises(Fatal, match="flag provided but not defined: --wrong"):
        merged({}, "--wrong=1")
    with pytest.raises(Fatal, match="needs an argument: --token"):
        merged({}, "--token")


@pytest.mark.parametrize(
    ("arguments", "value"), [(["--cluster-init"], True), (["--cluster-init=false"], False), ([], False)]
)
def test_switches_need_no_value(arguments: list[str], value: bool) -> None:
    """A switch is on when it is named, unless it is named to be off."""
    assert merged({}, *arguments).cluster_init is value


@pytest.mark.parametrize(
    ("file", "has_etcd", "kind"),
    [
        ({}, False, datastore.Kind.SQLITE),
        ({"cluster-init": True}, False, datastore.Kind.ETCD),
        ({"server": "https://a:6443"}, False, datastore.Kind.ETCD),
        ({}, True, datastore.Kind.ETCD),
        ({"cluster-reset": True}, False, datastore.Kind.ETCD),
        ({"datastore-endpoint": "postgres://a"}, True, datastore.Kind.EXTERNAL),
    ],
)
def test_the_kind_of_datastore_follows_from_the_settings(
    file: dict[str, Any], has_etcd: bool, kind: datastore.Kind
) -> None:
    """SQLite is the default; etcd comes with cluster-init, with joining, or with a database that is there already."""
    assert datastore.kind_of(merged(file), has_etcd=has_etcd) is kind


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("0 */12 * * *", "2026-02-28T00:00"),
        ("* * * * *", "2026-02-27T12:01"),
        ("30 3 1 * *", "2026-03-01T03:30"),
        ("15,45 12-14 * * *", "2026-02-27T12:15"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 * * 7", "2026-03-01T00:00"),
        ("0 0 15 * 1", "2026-03-02T00:00"),
    ],
)
def test_schedules_are_due_when_cron_says(schedule: str, due: str) -> None:
    """The next time of a schedule follows cron's rules, the one for days and weekdays included."""
    assert cron.next_after(cron.parse(schedule), NOON) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize("schedule", ["", "* * * *", "60 * * * *", "x * * * *", "5-1 * * * *"])
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    """A schedule with a mistake stops the start, and is not silently never due."""
    with pytest.raises(Fatal):
        cron.parse(schedule)


def taken(name: str) -> snapshots.Snapshot:
    """A snapshot of that name."""
    created = snapshots.taken_at(name)
    assert created is not None
    return snapshots.Snapshot(name, Path("/snapshots", name), 1, created)


def test_snapshots_are_named_by_node_and_time() -> None:
    """A snapshot's name tells its prefix, node and time; what is named otherwise is none."""
    assert snapshots.file_name("on-demand", "srv-1", 1700000000, compressed=False) == "on-demand-srv-1-1700000000"
    assert snapshots.file_name("a", "b", 1, compressed=True) == "a-b-1.zip"
    assert snapshots.taken_at("on-demand-srv-1-1700000000.zip") == 1700000000
    assert snapshots.taken_at("notes.txt") is None


def test_retention_touches_one_prefix_alone() -> None:
    """Scheduled pruning takes the oldest of its own prefix, never those taken on demand."""
    found = [taken(f"etcd-snapshot-a-{time}") for time in (3, 1, 2)] + [taken("on-demand-a-0")]
    gone = snapshots.superfluous(found, "etcd-snapshot-a", 2)
    assert [each.name for each in gone] == ["etcd-snapshot-a-1"]
    assert not snapshots.superfluous(found, "etcd-snapshot-a", 0)


def test_own_arguments_replace_the_defaults() -> None:
    """A component's argument from the configuration is used instead of k3s's own of the same name."""
    found = components.controller_manager(
        merged({"kube-controller-manager-arg": ["node-monitor-grace-period=10s", "bind-address=0.0.0.0"]}), elected=True
    )
    assert "--node-monitor-grace-period=10s" in found
    assert [each for each in found if each.startswith("--bind-address=")] == ["--bind-address=0.0.0.0"]


def test_components_follow_the_cluster_s_ranges() -> None:
    """The ranges of pods and services reach every component that hands out or routes addresses."""
    chosen = merged({"cluster-cidr": "10.52.0.0/16", "service-cidr": "10.53.0.0/16"})
    assert "--service-cluster-ip-range=10.53.0.0/16" in components.api_server(chosen, "192.0.2.1", "https://x")
    assert "--cluster-cidr=10.52.0.0/16" in components.controller_manager(chosen, elected=False)
    assert "--cluster-cidr=10.52.0.0/16" in components.proxy(chosen, "w1")


def test_certificates_for_etcd_are_only_for_etcd() -> None:
    """Kine listens on a socket, without certificates."""
    over_etcd = components.api_server(merged({}), "192.0.2.1", "https://127.0.0.1:2379")
    over_kine = components.api_server(merged({}), "192.0.2.1", "unix:///kine.sock")
    assert any(each.startswith("--etcd-cafile") for each in over_etcd)
    assert not any(each.startswith("--etcd-cafile") for each in over_kine)


def test_the_kubelet_registers_labels_and_taints() -> None:
    """Labels and taints of the configuration come with the node's registration."""
    found = components.kubelet(merged({"node-label": ["tier=a"], "node-taint": ["x=y:NoSchedule"]}), "w1", "192.0.2.1")
    assert any(each.startswith("--node-labels=") and each.endswith("tier=a") for each in found)
    assert "--register-with-taints=x=y:NoSchedule" in found


def node(name: str, pod_cidr: str, address: str) -> dict[str, Any]:
    """A node as the API has it."""
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    return {"metadata": {"name": name}, "spec": {"podCIDR": pod_cidr}, "status": {"addresses": addresses}}


def test_routes_lead_to_the_other_nodes() -> None:
    """Each other node's range is routed to its address; a node without a range is left out."""
    nodes = [node("a", "10.42.0.0/24", "192.0.2.1"), node("b", "10.42.1.0/24", "192.0.2.2"), node("c", "", "192.0.2.3")]
    assert components.routes(nodes, "a") == {"10.42.1.0/24": "192.0.2.2"}
    assert addons.node_hosts(nodes) == "192.0.2.1 a\n192.0.2.2 b\n192.0.2.3 c\n"


def test_pods_get_only_name_servers_that_they_reach() -> None:
    """A name server on the node's loopback is none to a pod; with none left CoreDNS forwards nothing."""
    text = "search x\nnameserver 127.0.0.11\nnameserver 192.0.2.53\n"
    assert agent.resolvers(text) == ["192.0.2.53"]
    packaged = addons.packaged_text("coredns.yaml")
    assert "forward . 192.0.2.53" in addons.render(packaged, settings.Settings(), ["192.0.2.53"])
    assert "forward" not in addons.render(packaged, settings.Settings(), [])
    assert "@" not in addons.render(packaged, settings.Settings(), []).replace("kubernetes @", "")


def test_skip_files_hold_manifests_back() -> None:
    """A manifest with a .skip file beside it is not deployed, and what is no manifest never is."""
    assert addons.wanted(["b.yaml", "a.yml", "a.yml.skip", "c.json", "notes"]) == ["b.yaml", "c.json"]


def test_a_joining_member_names_all_members() -> None:
    """A joining member names the known ones and itself, also where an earlier try of its own was announced."""
    members = [
        store.Member("1", "a-1", "https://192.0.2.1:2380", learner=False),
        store.Member("2", "", "https://192.0.2.2:2380", learner=True),
    ]
    expected = "a-1=https://192.0.2.1:2380,b-2=https://192.0.2.2:2380"
    assert store.initial_cluster(members, "b-2", "https://192.0.2.2:2380") == expected
    assert members[0].node == "a"


def test_the_supervisor_is_beside_the_api_server() -> None:
    """The address of a server names the API server's port, as for k3s; the supervisor is asked on its own."""
    assert join.supervisor_of("https://192.0.2.1:6443") == ("192.0.2.1", components.SUPERVISOR_PORT)
    with pytest.raises(Fatal, match="https"):
        join.supervisor_of("192.0.2.1:6443")


V1 = """\
tmpfs /sys/fs/cgroup tmpfs rw,nosuid,nodev,noexec 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,nodev,noexec,memory 0 0
"""
HYBRID = f"{V1}cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nosuid,nodev,noexec 0 0\n"
V2 = "overlay / overlay rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,nsdelegate 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "driver"), [(V1, "cgroupfs"), (HYBRID, "cgroupfs"), (V2, "systemd"), ("", "cgroupfs")]
)
def test_cgroups_have_one_writer(mounts: str, driver: str) -> None:
    """Where all controllers are in one hierarchy it is systemd's, and kubelet and containerd both ask systemd."""
    assert runtime.cgroup_driver(mounts) == driver
    assert runtime.kubelet_configuration(merged({}), "/resolv.conf", driver)["cgroupDriver"] == driver
    text = runtime.containerd_configuration("/socket", "pause:1", driver)
    assert f"SystemdCgroup = {'true' if driver == 'systemd' else 'false'}\n" in text
    assert 'sandbox_image = "pause:1"' in text
