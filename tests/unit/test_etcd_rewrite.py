"""What becomes of a node's files on another machine, for each flavour of cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from drkit.cluster import k3s
from drkit.datastore.look import identity_key
from drkit.errors import WrongKey
from drkit.restore.etcd import kept
from drkit.restore.etcd.configuration import Configuration, flags
from drkit.restore.etcd.rewrite import Rewritten, rewrite
from drkit.restore.etcd.values import File, Machine, Old, Rebuild, old_node

TOKEN = "K10" + "a" * 64 + "::server:of-the-cluster"
CONFIG = "/etc/rancher/k3s/config.yaml"
LAST = f"{CONFIG}.d/zzz-drkit.yaml"
UNIT = "/etc/systemd/system/k3s.service"
SERVER = "/var/lib/rancher/k3s/server"
FIRST = Machine("new1", "server", ("10.0.0.11",), ("203.0.113.11",), "enp7s0")
SECOND = Machine("new2", "server", ("10.0.0.12",), ("203.0.113.12",), "enp7s0", join="10.0.0.11")
AGENT = Machine("neww", "agent", ("10.0.0.21",), ("203.0.113.21",), "enp7s0", join="10.0.0.11")


def old(name: str, address: str, public: str = "", **files: str) -> Old:
    """An old node; files by path, in which the keywords ``config`` and ``unit`` are short for theirs."""
    named = {"config": CONFIG, "unit": UNIT}
    texts = {named.get(path, path): File(text.encode(), 0o600) for path, text in files.items()}
    return Old(name, internal=(address,), external=(public,) if public else (), files=texts)


def rewritten(node: Old, machine: Machine = FIRST, *others: tuple[Old, Machine], etcd: bool = True) -> Rewritten:
    """Its files on the machine."""
    return rewrite(node, machine, Rebuild(((node, machine), *others), etcd, TOKEN))


def told(found: Rewritten, machine: Machine = FIRST) -> Configuration:
    """What k3s would make of them."""
    return Configuration(found.files, "k3s" if machine.role == "server" else "k3s-agent")


def text(found: Rewritten, path: str) -> str:
    """One of its files."""
    return found.files[path].content.decode()


def test_flannel_over_a_private_interface() -> None:
    """Addresses, interface and name become the new machine's; comments, order and all else stay as they were."""
    config = (
        "# our server\nflannel-iface: ens10  # the private one\nnode-ip: 10.0.0.2\ntoken: of-the-cluster\n"
        "tls-san:\n- k3s.example\n- 10.0.0.2   # itself\ncluster-cidr: 10.42.0.0/16\nadvertise-address: 10.0.0.2\n"
    )
    found = rewritten(old("srv1", "10.0.0.2", config=config))
    # Comments keep their column.
    expected = config.replace("ens10 ", "enp7s0").replace("10.0.0.2 ", "10.0.0.11").replace("10.0.0.2", "10.0.0.11")
    assert text(found, CONFIG) == expected
    last = YAML(typ="safe").load(text(found, LAST))
    assert last == {"node-name": "new1", "cluster-init": True, "tls-san+": ["new1", "203.0.113.11"]}
    assert found.files[f"{SERVER}/token"] == File(f"{TOKEN}\n".encode(), 0o600)
    assert any("flannel-iface is set to enp7s0; it was ens10" in each for each in found.said)


def test_what_fits_stays_as_it_is() -> None:
    """A file in which nothing is about the machine is put back byte by byte."""
    config = "write-kubeconfig-mode:   '0644'\n\n\ndisable: [traefik]\n"
    found = rewritten(old("new1", "10.0.0.11", config=config))
    assert text(found, CONFIG) == config


def test_wireguard_over_public_addresses() -> None:
    """With wireguard-native the external address becomes the new one, and flannel goes on using it."""
    node = old(
        "srv1",
        "192.0.2.1",
        "192.0.2.1",
        config="flannel-backend: wireguard-native\nflannel-external-ip: true\nnode-external-ip: 192.0.2.1\n",
    )
    machine = Machine("srv1", "server", ("198.51.100.1",), ("198.51.100.1",))
    settings = told(rewritten(node, machine))
    assert settings.text("node-external-ip") == settings.text("node-ip") == "198.51.100.1"
    assert settings.on("flannel-external-ip")
    assert settings.text("flannel-backend") == "wireguard-native"


def test_an_external_address_that_is_missing_is_said() -> None:
    """A machine without a public address gets none, and that flannel wants one is said."""
    node = old("srv1", "10.0.0.2", "192.0.2.1", config="flannel-external-ip: true\nnode-external-ip: 192.0.2.1\n")
    found = rewritten(node, Machine("srv1", "server", ("10.0.0.2",)))
    assert told(found).value("node-external-ip") is None
    assert any("flannel-external-ip stays" in each for each in found.said)


def test_tailscale() -> None:
    """With a VPN the node's address is the VPN's to give; the file with its key is put back."""
    node = old(
        "srv1",
        "100.64.0.1",
        config="vpn-auth-file: /etc/rancher/k3s/vpn\n",
        **{"/etc/rancher/k3s/vpn": "name=tailscale,joinKey=secret"},
    )
    found = rewritten(node)
    assert told(found).value("node-ip") is None
    assert text(found, "/etc/rancher/k3s/vpn") == "name=tailscale,joinKey=secret"
    assert any("VPN" in each for each in found.said)
    assert not any("secret" in each for each in found.said)


def test_a_named_file_that_nobody_kept_is_said() -> None:
    """What the configuration names and no recovery point holds is named, arguments of components included."""
    node = old("srv1", "10.0.0.2", config="kube-apiserver-arg:\n- audit-policy-file=/etc/audit.yaml\n")
    assert any("/etc/audit.yaml, which is in no recovery point" in each for each in rewritten(node).said)


def test_canal_with_the_packaged_parts_disabled() -> None:
    """Flannel stays off and what was disabled stays disabled; the user's own manifests come back, held."""
    canal, config = f"{SERVER}/manifests/canal.yaml", "flannel-backend: none\ndisable: [traefik, servicelb]\n"
    node = old("srv1", "10.0.0.2", config=config, **{canal: "kind: DaemonSet\n"})
    found = rewritten(node)
    assert text(found, CONFIG) == config
    assert text(found, canal) == "kind: DaemonSet\n"
    assert found.files[f"{canal}.skip"].content == kept.HELD


def test_what_stands_for_a_packaged_manifest_is_not_held() -> None:
    """The packaged one stays skipped, and one's own in its place, such as CoreDNS's, is deployed as soon as that."""
    packaged, own = f"{SERVER}/manifests/coredns.yaml", f"{SERVER}/manifests/drkit-coredns.yaml"
    node = old("srv1", "10.0.0.2", **{packaged: "a: 1\n", f"{packaged}.skip": "", own: "a: 2\n"})
    found = rewritten(node)
    assert (packaged in found.files, f"{packaged}.skip" in found.files, text(found, own)) == (False, True, "a: 2\n")
    assert f"{own}.skip" not in found.files


def test_an_external_datastore_without_private_network() -> None:
    """The endpoint stays, or is the one that was given; nothing of it is said; no server is told of an own etcd."""
    endpoint = "postgres://k3s:pass@db.example:5432/k3s"
    node = old("srv1", "192.0.2.1", config=f"datastore-endpoint: {endpoint}\ntoken: of-the-cluster\n")
    machine = Machine("srv1", "server", ("198.51.100.1",))
    settings = told(rewritten(node, machine, etcd=False))
    assert settings.text("datastore-endpoint") == endpoint
    assert settings.value("cluster-init") is None
    other = rewrite(node, machine, Rebuild(((node, machine),), False, TOKEN, "postgres://k3s:new@10.1.1.1/k3s"))  # noqa: FBT003 - no etcd
    assert told(other).text("datastore-endpoint") == "postgres://k3s:new@10.1.1.1/k3s"
    assert not any("postgres" in each for each in other.said)


def test_servers_of_an_external_datastore_are_not_told_to_join() -> None:
    """They share the datastore, and the token that opens it: one that had only the file is told the token."""
    node = old("srv2", "10.0.0.3", config="datastore-endpoint: postgres://db.example/k3s\nagent-token: x\n")
    settings = told(rewritten(node, SECOND, etcd=False))
    assert settings.value("server") is None
    assert settings.text("token") == TOKEN


def test_an_embedded_registry_mirror() -> None:
    """The switch and the mirrors stay; a mirror on one of the old nodes is on the new one."""
    registries = "mirrors:\n  docker.io:  # through us\n    endpoint: ['http://10.0.0.2:5000']\n"
    path = "/etc/rancher/k3s/registries.yaml"
    found = rewritten(old("srv1", "10.0.0.2", config="embedded-registry: true\n", **{path: registries}))
    assert text(found, path) == registries.replace("10.0.0.2", "10.0.0.11")
    assert told(found).on("embedded-registry")


def test_nodes_matched_by_label() -> None:
    """Labels and taints that were set with kubectl are in the configuration; what only the API can set is returned."""
    node = Old(
        "w1",
        labels={
            "tier": "db",
            "pool.example.com/kind": "big",
            "zone": "kubectl",
            "node-role.kubernetes.io/worker": "true",
            "topology.kubernetes.io/zone": "nbg1",
            "kubernetes.io/hostname": "w1",
            "node.kubernetes.io/instance-type": "k3s",
        },
        taints=(
            {"key": "dedicated", "value": "db", "effect": "NoSchedule"},
            {"key": "alone", "effect": "NoExecute"},
            {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
        ),
        internal=("10.0.0.3",),
        files={CONFIG: File(b"node-label: [zone=configured]\nnode-taint: ['dedicated=db:NoSchedule']\n")},
    )
    found = rewritten(node, AGENT)
    settings = told(found, AGENT)
    assert settings.value("node-label") == [
        "zone=configured",
        "pool.example.com/kind=big",
        "tier=db",
        "topology.kubernetes.io/zone=nbg1",
    ]
    assert settings.value("node-taint") == ["dedicated=db:NoSchedule", "alone=:NoExecute"]
    assert found.labels == {"node-role.kubernetes.io/worker": "true"}


def test_three_servers_with_etcd() -> None:
    """The first server joins nobody, though it had; the others join it, though one of them had been the first."""
    first = old("srv2", "10.0.0.3", config="server: https://10.0.0.2:6443\ntoken: of-the-cluster\n")
    second = old("srv1", "10.0.0.2", config="cluster-init: true\ntoken: of-the-cluster\n")
    found = rewritten(first, FIRST, (second, SECOND))
    assert told(found).value("server") is None
    assert told(found).on("cluster-init")
    other = rewritten(second, SECOND, (first, FIRST))
    assert told(other).text("server") == "https://10.0.0.11:6443"
    assert told(other).value("cluster-init") is None
    assert told(other).text("token") == "of-the-cluster"


def test_one_server_with_sqlite() -> None:
    """A server that was told nothing stays one with SQLite: it gets no switch that would make it another."""
    found = rewritten(old("srv1", "10.0.0.2"), etcd=False)
    assert told(found).value("cluster-init") is None
    assert found.settings.token == ""
    assert text(found, f"{SERVER}/token") == f"{TOKEN}\n"


def test_a_fixed_address_to_join_through_is_remembered() -> None:
    """Where nodes joined through a name, that is said: it may lead to the old servers still."""
    node = old("w1", "10.0.0.3", config="server: https://k3s.example:7443\ntoken: x\n")
    found = rewritten(node, AGENT)
    assert told(found, AGENT).text("server") == "https://10.0.0.11:7443"
    assert any("it joined through https://k3s.example:7443" in each for each in found.said)


INSTALLED = """[Unit]
Description=Lightweight Kubernetes
[Service]
Type=notify
EnvironmentFile=-/etc/systemd/system/k3s.service.env
Environment="K3S_NODE_NAME=srv1" FOO=bar
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s \\
    server \\
	'--node-ip=10.0.0.2' \\
	'--tls-san' 'k3s.example' \\
	'--kubelet-arg' 'max-pods=200' \\
	'--kubelet-arg=node-ip=10.0.0.2' \\
	'--secrets-encryption'

"""


def test_flags_of_the_unit_move_into_a_file() -> None:
    """What the installer wrote into the unit counts the same in a last file, with the new addresses."""
    node = old("srv1", "10.0.0.2", unit=INSTALLED, config="tls-san: [never.example]\nnode-ip: 192.0.2.9\n")
    found = rewritten(node)
    unit = text(found, UNIT)
    assert "\nExecStart=/usr/local/bin/k3s server\n" in unit
    assert "Environment=K3S_NODE_NAME=new1 FOO=bar\n" in unit
    assert "ExecStartPre=-/sbin/modprobe overlay\n" in unit
    last = YAML(typ="safe").load(text(found, LAST))
    assert last == {
        "node-name": "new1",
        "node-ip": "10.0.0.11",
        "tls-san": ["k3s.example", "new1", "10.0.0.11", "203.0.113.11"],
        "kubelet-arg": ["max-pods=200", "node-ip=10.0.0.11"],
        "secrets-encryption": True,
        "cluster-init": True,
    }


def test_an_agents_environment() -> None:
    """The installer's file of an agent leads to the new server; the token in it stays, and is not said."""
    path = "/etc/systemd/system/k3s-agent.service.env"
    unit = "/etc/systemd/system/k3s-agent.service"
    files = {
        path: "K3S_TOKEN='K10abc::server:secret-token'\nK3S_URL='https://10.0.0.2:6443'\nHTTP_PROXY=http://p\n",
        unit: "[Service]\nExecStart=/usr/local/bin/k3s agent --node-label tier=worker\n",
    }
    server = old("srv1", "10.0.0.2")
    found = rewritten(old("w1", "10.0.0.3", **files), AGENT, (server, FIRST))
    assert text(found, path) == (
        "K3S_TOKEN='K10abc::server:secret-token'\nK3S_URL=https://10.0.0.11:6443\nHTTP_PROXY=http://p\n"
    )
    settings = told(found, AGENT)
    assert settings.text("server") == "https://10.0.0.11:6443"
    assert settings.text("token") == "K10abc::server:secret-token"
    assert settings.value("node-label") == ["tier=worker"]
    assert f"{SERVER}/token" not in found.files
    assert not any("secret-token" in each for each in found.said)


def test_a_machine_without_old_files_joins() -> None:
    """Where nothing of a node was kept, the machine gets what it needs to join."""
    settings = told(rewritten(Old("w1"), AGENT), AGENT)
    assert (settings.text("server"), settings.text("token")) == ("https://10.0.0.11:6443", TOKEN)
    assert (settings.text("node-name"), settings.text("node-ip")) == ("neww", "10.0.0.21")


def test_a_cluster_that_begins_anew_takes_nothing_of_the_old_identity() -> None:
    """Neither old tokens, wherever they were told, nor the way to the old datastore; the new token is everywhere."""
    config = (
        f"token: {TOKEN}\nagent-token: K10abc::node:other\ndatastore-endpoint: postgres://k3s:secret@10.0.0.9/k3s\n"
    )
    first = old("srv1", "10.0.0.2", config=config, **{f"{SERVER}/token": TOKEN, f"{SERVER}/agent-token": "other"})
    agent = old("w1", "10.0.0.3", **{"/etc/systemd/system/k3s-agent.service.env": f"K3S_TOKEN='{TOKEN}'\n"})
    rebuild = Rebuild(((first, FIRST), (agent, AGENT)), etcd=True, token="fresh", fresh=True)
    for node, machine in rebuild.pairs:
        found = rewrite(node, machine, rebuild)
        assert told(found, machine).text("token") == "fresh"
        everything = b"".join(file.content for file in found.files.values()).decode()
        assert TOKEN not in everything
        assert "10.0.0.9" not in everything
        assert not {f"{SERVER}/token", f"{SERVER}/agent-token"} & set(found.files)
        assert not any("fresh" in each for each in found.said)


def test_a_command_line_that_is_not_understood_stays() -> None:
    """A unit that starts k3s in a way of its own is put back as it is, and that is said."""
    unit = "[Service]\nExecStart=/usr/local/bin/start-k3s $MORE\n"
    found = rewritten(old("srv1", "10.0.0.2", unit=unit))
    assert text(found, UNIT) == unit
    assert any("is not understood" in each for each in found.said)


def test_identities_and_packaged_files_stay_away() -> None:
    """Neither the old certificates nor what k3s writes itself is put back; what the user named is told, not put."""
    files = [f"{SERVER}/tls/server-ca.crt", f"{SERVER}/cred/passwd", "/etc/rancher/node/password", "/etc/wireguard/wg0"]
    files += [f"{SERVER}/manifests/{name}" for name in ("coredns.yaml", "metrics-server/auth-reader.yaml")]
    found = rewritten(old("srv1", "10.0.0.2", **dict.fromkeys(files, "x")))
    assert not set(files) & set(found.files)
    assert [each for each in found.said if "not put back" in each] == [
        "new1 (was srv1): not put back: /etc/wireguard/wg0 (drkit restore --only server-files --into DIR)"
    ]


def test_users_own_skips_stay() -> None:
    """A manifest that its owner skipped is not deployed later either: its ``.skip`` is not drkit's."""
    path = f"{SERVER}/manifests/mine.yaml"
    found = rewritten(old("srv1", "10.0.0.2", **{path: "a", f"{path}.skip": ""}))
    assert found.files[f"{path}.skip"].content == b""


def test_snapshots_to_s3_are_off() -> None:
    """The new cluster does not write into the old one's bucket, and its reset does not read from there."""
    found = rewritten(old("srv1", "10.0.0.2", config="etcd-s3: true\netcd-s3-bucket: b\netcd-s3-secret-key: hidden\n"))
    assert not told(found).on("etcd-s3")
    assert any("etcd-s3" in each for each in found.said)
    assert not any("hidden" in each for each in found.said)


def test_another_data_directory_and_configuration() -> None:
    """Where k3s keeps its data elsewhere, the token goes there; the last file goes beside its own configuration."""
    unit = "[Service]\nExecStart=/usr/bin/k3s server -c /srv/k3s.yaml --data-dir /srv/k3s\n"
    found = rewritten(old("srv1", "10.0.0.2", unit=unit, **{"/srv/k3s.yaml": "# mine\n"}))
    assert text(found, UNIT) == "[Service]\nExecStart=/usr/bin/k3s server --config=/srv/k3s.yaml\n"
    assert found.settings.data_directory == "/srv/k3s"
    assert "/srv/k3s/server/token" in found.files
    assert "/srv/k3s.yaml.d/zzz-drkit.yaml" in found.files


def test_both_families_keep_their_order() -> None:
    """A dual-stack node keeps the order of its families, which the cluster's ranges have too."""
    node = Old("srv1", internal=("10.0.0.2", "fd00::2"), files={CONFIG: File(b"node-ip: 'fd00::2,10.0.0.2'\n")})
    found = rewritten(node, Machine("srv1", "server", ("10.0.0.11", "fd00::11")))
    assert told(found).text("node-ip") == "fd00::11,10.0.0.11"


def test_the_token_that_opens_the_datastore() -> None:
    """Of what the servers kept, the token that was in force at the snapshot is taken; no other will do."""
    wrong = old("srv1", "10.0.0.2", config="token: another\n", **{f"{SERVER}/token": "K10x::server:wrong"})
    right = old("srv2", "10.0.0.3", **{f"{SERVER}/token": f"{TOKEN}\n"})
    identities = [identity_key(TOKEN)]
    assert kept.cluster_token([wrong, right], identities) == TOKEN
    with pytest.raises(WrongKey, match="does not open"):
        kept.cluster_token([wrong], identities)
    with pytest.raises(WrongKey, match="no server's token"):
        kept.cluster_token([old("srv1", "10.0.0.2")], identities)


def test_a_node_as_the_topology_has_it() -> None:
    """Addresses are told apart by kind, and IPv4 comes first; what the topology does not know has no place."""
    addresses = [("InternalIP", "fd00::2"), ("InternalIP", "10.0.0.2"), ("ExternalIP", "192.0.2.1"), ("Hostname", "a")]
    topology = {
        "nodes": [
            {"name": "a", "labels": {}, "taints": [], "addresses": [{"type": k, "address": v} for k, v in addresses]}
        ]
    }
    node = old_node(topology, "a", {})
    assert (node.internal, node.external) == (("10.0.0.2", "fd00::2"), ("192.0.2.1",))
    assert old_node(topology, "b", {}) == Old("b")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("https://10.0.0.2:6443", "https://10.0.0.11:6443"),
        ("10.0.0.20,10.0.0.2", "10.0.0.20,10.0.0.11"),
        ("110.0.0.2", "110.0.0.2"),
        ("10.0.0.2.example", "10.0.0.11.example"),
        ("10.0.0.2.3", "10.0.0.2.3"),
        ("[fd00::2]:6443", "[fd00::11]:6443"),
        ("fd00::2:1", "fd00::2:1"),
    ],
)
def test_only_whole_addresses_are_replaced(before: str, now: str) -> None:
    """An address that is part of another one is none."""
    assert kept.replacing({"10.0.0.2": "10.0.0.11", "fd00::2": "fd00::11"})(before) == now


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["node-ip", "tls-san", "kubelet-arg", "write-kubeconfig-mode", "debug"]),
            st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5),
        ),
        max_size=6,
    )
)
def test_flags_come_to_the_same_in_a_file(given_flags: list[tuple[str, str]]) -> None:
    """Each flag is found with its values in their order, whichever way it is written."""
    separate = [word for name, value in given_flags for word in (f"--{name}", value)]
    joined = [f"--{name}={value}" for name, value in given_flags]
    found = flags(["k3s", "server", *separate])
    assert found == flags(["k3s", "server", *joined])
    for name in {name for name, _ in given_flags}:
        values = [value for each, value in given_flags if each == name]
        assert found is not None
        assert found[name] in (values, values[-1] if len(values) == 1 else None)


def test_the_result_reads_as_k3s_reads_it() -> None:
    """What drkit itself understands of the new files is what was meant: one parser for a backup and for this."""
    found = rewritten(old("srv1", "10.0.0.2", unit=INSTALLED))
    settings = k3s.settings({path: file.content for path, file in found.files.items()})
    assert settings == found.settings
    assert settings.cluster_init
