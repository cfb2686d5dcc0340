"""``drkit init``: whatever the names are, what is written is a configuration, and holds no secret."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.load import load
from drkit.errors import UsageError
from drkit.setup.found import Found, Login, Machine, Missing, Page, Postgres, Project
from drkit.setup.pages import urls
from drkit.setup.project import of_cluster
from drkit.setup.render import render
from drkit.setup.write import make_passphrase, write

if TYPE_CHECKING:
    from drkit.config.model import Config

ODD = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "no",
            "null",
            "~",
            "1e5",
            "0x1",
            "a: b",
            "# a",
            "- a",
            "'",
            '"',
            "a\nb: c",
            "\x85",
            "\u2028",
            "{",
            "]",
            "\ud800",
            "\0",
        ]
    ),
)
MACHINES = st.lists(st.builds(Machine, name=ODD, address=ODD, is_server=st.booleans(), trouble=ODD), max_size=3)
POSTGRES = st.lists(st.builds(Postgres, name=ODD, databases=st.lists(ODD, max_size=2).map(tuple)), max_size=2)
FOUND = st.builds(
    Found,
    name=ODD,
    kubeconfig=st.one_of(st.none(), ODD.map(lambda name: Path("/") / name.replace("\0", "").replace("\ud800", ""))),
    login=st.builds(Login, user=ODD, key=st.just(Path("/a key")), port=st.one_of(st.none(), st.integers(1, 65535))),
    machines=st.lists(st.builds(Machine, name=ODD, address=ODD, is_server=st.booleans(), trouble=ODD), max_size=3).map(
        tuple
    ),
    postgres=st.lists(st.builds(Postgres, name=ODD, databases=st.lists(ODD, max_size=2).map(tuple)), max_size=2).map(
        tuple
    ),
    pages=st.lists(st.builds(Page, url=ODD, answers=st.booleans(), said=ODD), max_size=2).map(tuple),
    project=st.one_of(
        st.none(),
        st.builds(
            Project,
            server_type=ODD,
            location=ODD,
            image=ODD,
            load_balancer=ODD,
            balancer_address=ODD,
            network=ODD,
            zones=st.lists(ODD, max_size=2).map(tuple),
        ),
    ),
    vault=st.sampled_from(["", "/srv/vault", "/srv/a b: #", "ssh://u1@box.example:23/./k3s"]),
    missing=st.lists(st.builds(Missing, what=ODD, why=ODD, hint=ODD), max_size=2).map(tuple),
)
REFERENCE = Found(
    "docfast",
    Path("/etc/drkit/kubeconfig"),
    Login(key=Path("/etc/drkit/ssh-key")),
    (Machine("k3s-mgr", "192.0.2.10", is_server=True), Machine("k3s-w1", "192.0.2.11", is_server=False)),
    (Postgres("postgres/main-db", ("docfast",)),),
    (Page("https://docfast.example/", answers=True, said="it answered 200"),),
    Project("cax11", "nbg1", "debian-12", "k3s-lb", "192.0.2.20", "k3s-net", ("docfast.example",)),
    "ssh://u1-sub1@box.example:23/./k3s",
)


def loaded(found: Found) -> Config:
    """What the rendered file says."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "drkit.yaml"
        file.write_text(render(found), encoding="utf-8")
        return load(file)


@given(FOUND)
def test_whatever_the_names_are_it_is_a_configuration(found: Found) -> None:
    """A name from the cluster or the provider is a name in the file, and nothing else."""
    config = loaded(found)
    assert config.drills.allow == []
    assert set(config.vaults) == {"cluster", "databases"}
    servers = [each for each in found.machines if each.is_server]
    shown = [(each.name, each.address) for each in servers]
    assert [(each.name, each.address) for each in config.cluster.servers] == [
        (name.replace("\ud800", "\ufffd"), address.replace("\ud800", "\ufffd")) for name, address in shown
    ]
    assert len(config.health) == sum(each.answers for each in found.pages)
    assert bool(config.clusters) == (found.project is not None and bool(servers))


def test_what_was_found_is_what_the_configuration_says() -> None:
    """The reference cluster comes out as somebody would have written it by hand."""
    config = loaded(REFERENCE)
    assert config.cluster.name == "docfast"
    assert config.cluster.kubeconfig == Path("/etc/drkit/kubeconfig")
    assert (config.cluster.ssh.user, config.cluster.ssh.key) == ("root", Path("/etc/drkit/ssh-key"))
    assert config.vaults["cluster"].url == "ssh://u1-sub1@box.example:23/./k3s/cluster"
    passphrase = config.vaults["databases"].passphrase.file
    assert passphrase is not None
    assert passphrase.name == "passphrase"
    target = config.clusters["new-cluster"]
    assert (target.server_type, target.location, target.network) == ("cax11", "nbg1", "k3s-net")
    assert (target.servers, target.agents, target.load_balancer) == (["k3s-mgr"], ["k3s-w1"], "k3s-lb")
    assert config.drills.database == "postgres/main-db"
    assert config.drills.token is not None
    assert config.drills.token.env == "HCLOUD_TOKEN"


@pytest.mark.parametrize("found", [REFERENCE, Found("k3s")], ids=["reference", "nothing"])
def test_every_key_says_what_it_is(found: Found) -> None:
    """Who opens the file for the first time needs no manual: each key has a comment in its line."""
    bare = [line for line in render(found).splitlines() if line.partition("#")[0].strip() and "  # " not in line]
    assert bare == []


@pytest.mark.parametrize("found", [REFERENCE, Found("k3s")], ids=["reference", "nothing"])
def test_what_is_off_can_be_put_in_force(found: Found, tmp_path: Path) -> None:
    """Each key that stands there as a comment is one that the file takes where somebody takes the # away."""
    lines = render(found).splitlines()
    block = next((number for number, line in enumerate(lines) if line == "# new-cluster:"), len(lines))
    file = tmp_path / "drkit.yaml"
    file.write_text(render(found))
    before, tried = load(file), 0
    for number, line in enumerate(lines[:block]):
        key = line.removeprefix("# ").split(":")[0].strip()
        is_pair = key in {"provider", "token"} or "…" in line
        if not line.startswith("#   ") or line.startswith("#   -") or is_pair:
            continue
        file.write_text("\n".join([*lines[:number], line.removeprefix("# "), *lines[number + 1 :]]))
        assert load(file) != before, line
        tried += 1
    assert tried > 8


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """A configuration that somebody wrote is never lost; over it only where that is said."""
    file = tmp_path / "etc/drkit.yaml"
    write(file, "first", force=False)
    with pytest.raises(UsageError, match="is there already"):
        write(file, "second", force=False)
    assert file.read_text() == "first"
    write(file, "second", force=True)
    assert file.read_text() == "second"
    assert [each.name for each in file.parent.iterdir()] == ["drkit.yaml"]


def test_a_passphrase_is_its_owners_alone_and_never_made_twice(tmp_path: Path) -> None:
    """A second one would close what the first one opens."""
    file = tmp_path / "passphrase"
    assert make_passphrase(file)
    first = file.read_text()
    assert len(first) > 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert not make_passphrase(file)
    assert file.read_text() == first


def test_a_project_is_the_clusters_by_its_servers() -> None:
    """Of a project with other things in it, what belongs to the cluster's servers is taken; of several, nothing."""
    machines = [Machine("k3s-mgr", "192.0.2.10", is_server=True), Machine("other-name", "192.0.2.11", is_server=False)]
    ours = {"server_type": {"name": "cax11"}, "image": {"name": "debian-12"}, "private_net": [{"network": 5}]}
    project = {
        "servers": [
            {"id": 1, "name": "k3s-mgr", "datacenter": {"location": {"name": "nbg1"}}, **ours},
            {"id": 2, "name": "x", "public_net": {"ipv4": {"ip": "192.0.2.11"}}, "location": {"name": "nbg1"}, **ours},
            {"id": 3, "name": "mail", "server_type": {"name": "ccx63"}},
        ],
        "networks": [{"id": 5, "name": "k3s-net"}, {"id": 6, "name": "office"}],
        "load_balancers": [
            {"name": "k3s-lb", "targets": [{"type": "label_selector", "targets": [{"server": {"id": 2}}]}]},
            {"name": "mail-lb", "targets": [{"type": "server", "server": {"id": 3}}]},
        ],
        "zones": [{"id": 9, "name": "docfast.example"}, "nonsense"],
    }
    found = of_cluster(project, machines)  # type: ignore[arg-type]  # what an API may say
    assert found == Project("cax11", "nbg1", "debian-12", "k3s-lb", "", "k3s-net", ("docfast.example",))
    assert of_cluster(project, machines[:0]) is None  # type: ignore[arg-type]


def test_pages_are_guessed_from_hosts_alone() -> None:
    """Wildcards and what is no host's name are not asked; who has a certificate is asked for it."""
    rules = [{"host": "a.example"}, {"host": "*.example"}, {"host": "b.example"}, {"host": "x/../y"}, {}, "nonsense"]
    ingress = {"spec": {"tls": [{"hosts": ["a.example"]}], "rules": rules}}
    assert urls([ingress]) == ("http://b.example/", "https://a.example/")
