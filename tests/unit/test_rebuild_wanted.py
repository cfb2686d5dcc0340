"""What a cluster's rebuild is to bring back: what was sealed, the target and the user's choices put together."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.model import Config
from drkit.errors import ConfigurationError, DrkitError, NoSuchPoint, PreflightFailed, UsageError
from drkit.restore import rebuild_plan
from drkit.restore.engine.plan import Plan
from drkit.restore.rebuild_choices import Choices, Sealed, take_over
from drkit.restore.rebuild_wanted import derive
from drkit.restore.wanted import ETCD, MANIFESTS, PARTS
from tests.unit.builders import source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.points.descriptor import SourceEntry
    from drkit.restore.rebuild_wanted import Derived

CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": "true"}
MAIN = "postgres/main-db"
NODES = ("k3s-mgr", "k3s-w1", "k3s-w2")


def database(name: str, *, tables: int = 1) -> SourceEntry:
    """A database of a CloudNativePG cluster."""
    proof = {"tables": {f"public.t{number}": {"rows": 1} for number in range(tables)}}
    return source(name, details={"instance": {"pod": "main-db-1", "role": "primary"}, "proof": proof})


def reference_sources(**datastore: Any) -> list[SourceEntry]:
    """What a backup of the reference cluster has, with one database elsewhere."""
    kept = {"datastore": "embedded-etcd", "server": "k3s-mgr", "k3s": "v1.34.4+k3s1", **datastore}
    return [
        source("datastore", details=kept, vault="cluster"),
        source("manifests", details={"versions": {"kubernetes": "v1.34.4+k3s1"}}, vault="cluster"),
        source("topology", vault="cluster"),
        *(source(f"server-files/{node}", details={"node": node}, vault="cluster") for node in NODES),
        database(f"database/{MAIN}/docfast"),
        database(f"database/{MAIN}/docfast_staging"),
        database(f"database/{MAIN}/postgres", tables=0),
        source(f"globals/{MAIN}"),
        source("database/billing", details={"proof": {}}),
        source("globals/billing"),
    ]


def sealed(
    sources: list[SourceEntry], *, topology: bool = True, points: Mapping[str, str] = MappingProxyType({})
) -> Sealed:
    """These sources, all from one point unless ``points`` says otherwise."""
    nodes = [{"name": name, "labels": CONTROL_PLANE if name == "k3s-mgr" else {}} for name in NODES]
    volumes = ({"namespace": "docfast", "claim": "uploads", "used_by": ["Deployment docfast/web"]},)
    return Sealed(
        {each.name: each for each in sources},
        {each.name: points.get(each.kind, "20260301T030000Z-abc123") for each in sources},
        {"nodes": nodes} if topology else {},
        volumes,
    )


def config(**target: Any) -> Config:
    """A configuration with the target ``new-cluster``."""
    return Config.model_validate(
        {
            "vaults": {"cluster": {"url": "vault", "passphrase": {"env": "NOT_ASKED_FOR"}}},
            "health": [{"url": "https://docfast.dev/health"}],
            "clusters": {"new-cluster": {"provider": "hetzner", **target}},
        }
    )


REFERENCE = {"servers": ["k3s-mgr"], "agents": ["k3s-w1", "k3s-w2"], "load_balancer": "k3s-lb", "dns": ["docfast.dev"]}


def wish(
    there: Sealed,
    mode: str = "",
    only: tuple[str, ...] | None = None,
    target: dict[str, Any] | None = None,
    **more: Any,
) -> Derived:
    """What comes of it, with all sources picked where none is named."""
    picked = frozenset(there.sources if only is None else only)
    choices = Choices(mode, picked, only=only is not None, **more)
    return derive("new-cluster", config(**(REFERENCE if target is None else target)), there, choices)


def test_the_reference_cluster_is_wanted_as_it_was() -> None:
    """Every machine takes its node's place and files; databases go into their cluster; each source is drawn on once."""
    found = wish(sealed(reference_sources()))
    wanted = found.wanted
    assert wanted.mode == ETCD
    assert [(each.name, each.node, each.files and each.files.source) for _, each in wanted.machines] == [
        (name, name, f"server-files/{name}") for name in NODES
    ]
    (cluster,) = wanted.clusters
    assert (cluster.name, [each.name for each in cluster.databases]) == (MAIN, ["docfast", "docfast_staging"])
    assert wanted.version == "v1.34.4+k3s1"
    assert (wanted.balancer, wanted.dns, wanted.health, wanted.patches) == (True, ("docfast.dev",), True, False)
    assert len(set(found.draws_on)) == len(found.draws_on)
    assert "topology" in found.draws_on
    Plan("new-cluster", rebuild_plan.steps(wanted), ())


def test_what_is_left_out_is_said() -> None:
    """A database that the target has no place for, and volumes that no source has, are warned of."""
    found = wish(sealed(reference_sources()))
    assert "database/billing is left out: target new-cluster has no database for it" in found.warnings
    assert found.wanted.empty_volumes == ("docfast/uploads",)
    assert any("docfast/uploads" in warning and "Deployment docfast/web" in warning for warning in found.warnings)


def test_volumes_with_a_source_are_filled() -> None:
    """Each into the claim as the new cluster calls it, with the node it was on; one that is left out is said."""
    kept = [source(f"volumes/docfast/{name}", details={"node": "k3s-w1"}, vault="cluster") for name in ("media", "x")]
    there = sealed([*reference_sources(), *kept])
    wanted = wish(there, MANIFESTS, namespaces=(("docfast", "second"),)).wanted
    assert [(each.claim, each.archive.source, each.node) for each in wanted.volumes] == [
        ("second/media", "volumes/docfast/media", "k3s-w1"),
        ("second/x", "volumes/docfast/x", "k3s-w1"),
    ]
    only = tuple(name for name in there.sources if name not in {"volumes/docfast/x", "database/billing"})
    found = wish(there, only=only)
    assert [each.claim for each in found.wanted.volumes] == ["docfast/media"]
    assert "volumes/docfast/x is left out: its volume comes back empty" in found.warnings
    assert "volumes/docfast/media" in found.draws_on


def test_a_database_elsewhere_goes_where_the_target_says() -> None:
    """What has a connection string in the target is restored there, with its roles."""
    own = {**REFERENCE, "databases": [{"name": "billing", "dsn": {"env": "X"}}]}
    wanted = wish(sealed(reference_sources()), target=own).wanted
    assert [each.name for each in wanted.databases] == ["billing"]
    assert wanted.dsn_roles == ("globals/billing",)
    assert wanted.all_roles


def test_a_servers_own_database_comes_back_where_it_was_used() -> None:
    """The database ``postgres`` comes with its cluster, and is restored only where somebody put something there."""
    used = [each for each in reference_sources() if each.name != f"database/{MAIN}/postgres"]
    used.append(database(f"database/{MAIN}/postgres"))
    (cluster,) = wish(sealed(used)).wanted.clusters
    assert [each.name for each in cluster.databases] == ["docfast", "docfast_staging", "postgres"]


def test_the_mode_is_what_the_backup_can_do() -> None:
    """The old identity where its datastore was backed up, else a fresh one; what cannot be is said, and how else."""
    everything = reference_sources()
    assert wish(sealed(everything)).wanted.mode == ETCD
    assert wish(sealed(everything), MANIFESTS).wanted.mode == MANIFESTS
    without = [each for each in everything if each.kind != "datastore"]
    assert wish(sealed(without)).wanted.mode == MANIFESTS
    with pytest.raises(NoSuchPoint, match="mode etcd needs a datastore") as refused:
        wish(sealed(without), ETCD)
    assert "--mode manifests" in refused.value.hint
    with pytest.raises(NoSuchPoint, match="a cluster needs a datastore or manifests"):
        wish(sealed([each for each in without if each.kind != "manifests"]))


def test_mode_etcd_needs_the_token_of_its_time() -> None:
    """Without any server's files there is no token; from another point than the datastore it may be another one."""
    without = [each for each in reference_sources() if each.kind != "server-files"]
    with pytest.raises(NoSuchPoint, match="no server's files"):
        wish(sealed(without), ETCD)
    assert wish(sealed(without), MANIFESTS).wanted.servers[0].files is None
    apart = sealed(reference_sources(), points={"server-files": "20260228T030000Z-abc123"})
    assert any("its token from 20260228T030000Z-abc123" in warning for warning in wish(apart).warnings)
    assert not any("token" in warning for warning in wish(sealed(reference_sources())).warnings)


def test_sqlite_has_one_server() -> None:
    """A datastore that one server alone can have is not spread over more; in mode manifests it may be."""
    there = sealed(reference_sources(datastore="sqlite"))
    three = {"servers": ["k3s-mgr", "s2", "s3"]}
    assert wish(there).wanted.mode == ETCD
    with pytest.raises(PreflightFailed, match="SQLite"):
        wish(there, ETCD, target=three)
    assert len(wish(there, MANIFESTS, target=three).wanted.servers) == 3


def test_a_server_more_is_set_up_like_the_others() -> None:
    """A server that stands for no old one gets another server's files as a pattern, which is said."""
    found = wish(sealed(reference_sources()), target={"servers": ["k3s-mgr", "s2"], "agents": []})
    assert found.wanted.servers[1].node == ""
    assert found.wanted.servers[1].files == found.wanted.servers[0].files
    assert any(warning.startswith("s2: it is one more server") for warning in found.warnings)


def test_servers_that_exist_need_an_address_or_a_provider() -> None:
    """Who names machines by their addresses needs no provider; who names neither is told what is missing."""
    there = sealed(reference_sources())
    hosts = {"provider": None, "servers": [{"name": "s1", "address": "198.51.100.7"}]}
    wanted = wish(there, target=hosts).wanted
    assert (wanted.provider, wanted.servers[0].node) == ("ssh", "k3s-mgr")
    with pytest.raises(ConfigurationError, match="provider"):
        wish(there, target={"provider": None, "servers": ["s1"]})
    with pytest.raises(ConfigurationError, match="servers"):
        wish(there, target={"provider": "ssh"})
    with pytest.raises(ConfigurationError, match="named twice"):
        wish(there, target={"servers": ["k3s-mgr"], "agents": ["k3s-mgr"]})


def test_a_target_that_names_no_machines_gets_those_there_were() -> None:
    """A provider makes what the topology has, and without one what the backed up files tell."""
    for there in (sealed(reference_sources()), sealed(reference_sources(), topology=False)):
        wanted = wish(there, target={}).wanted
        assert [each.name for each in wanted.servers] == ["k3s-mgr"]
        assert [each.name for each in wanted.agents] == ["k3s-w1", "k3s-w2"]


def test_parts_want_no_machines() -> None:
    """Databases or objects alone go into the cluster that is there; what is only of use on a server is refused."""
    there = sealed(reference_sources())
    wanted = wish(there, only=(f"database/{MAIN}/docfast",)).wanted
    assert (wanted.mode, wanted.machines, wanted.manifests) == (PARTS, (), None)
    assert [each.name for each in wanted.clusters[0].databases] == ["docfast"]
    wanted = wish(there, only=("manifests",), parts=("docfast/Deployment/web",)).wanted
    assert (wanted.mode, wanted.parts) == (PARTS, ("docfast/Deployment/web",))
    with pytest.raises(UsageError, match="--into"):
        wish(there, only=("server-files/k3s-mgr",))
    with pytest.raises(UsageError, match="for a whole cluster"):
        wish(there, ETCD, only=(f"database/{MAIN}/docfast",))


def test_what_contradicts_itself_is_refused() -> None:
    """Modes and choices that exclude each other are usage errors that name both."""
    there = sealed(reference_sources())
    with pytest.raises(UsageError, match="--only leaves out"):
        wish(there, MANIFESTS, only=("datastore",))
    with pytest.raises(UsageError, match="exclude each other"):
        wish(there, only=("datastore", "manifests"), parts=("docfast/Deployment/web",))
    with pytest.raises(UsageError, match="--namespace"):
        wish(there, ETCD, namespaces=(("postgres", "data"),))
    with pytest.raises(PreflightFailed, match="no database for database/billing"):
        wish(there, only=("datastore", "database/billing"))


def test_a_renamed_namespace_renames_its_databases_cluster() -> None:
    """A CloudNativePG cluster is called by its new namespace, and filled from the old one's archives."""
    wanted = wish(sealed(reference_sources()), MANIFESTS, namespaces=(("postgres", "data"),)).wanted
    (cluster,) = wanted.clusters
    assert cluster.name == "data/main-db"
    assert cluster.databases[0].archive.source == f"database/{MAIN}/docfast"
    assert cluster.roles is not None
    assert cluster.roles.source == f"globals/{MAIN}"


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_no_node_is_taken_over_twice(names: list[str], old: list[str]) -> None:
    """Names that stay keep their node; the others take what is left, in order, each at most once."""
    found = dict(take_over(names, old))
    assert list(found) == names
    taken = [node for node in found.values() if node]
    assert len(set(taken)) == len(taken)
    assert len(taken) == min(len(names), len(old))
    assert all(found[name] == name for name in set(names) & set(old))


@given(
    st.sets(st.sampled_from([each.name for each in reference_sources()]), min_size=1),
    st.sampled_from(["", ETCD, MANIFESTS]),
    st.booleans(),
)
def test_whatever_was_sealed_there_is_a_plan_or_a_clear_refusal(names: set[str], mode: str, only: bool) -> None:
    """For any part of a backup and any mode: a plan that can be carried out, or an error that says what to do."""
    there = sealed([each for each in reference_sources() if each.name in names])
    try:
        found = wish(there, mode, only=tuple(sorted(names)) if only else None)
    except DrkitError:
        return
    made = Plan("new-cluster", rebuild_plan.steps(found.wanted), ())
    drawn = {step.details["source"] for step in made.steps if step.details.get("source")}
    assert drawn <= set(found.draws_on) <= names


OVER = "2026-03-02T12:00:00Z"


def test_a_rehearsal_is_led_to_by_nothing() -> None:
    """It has a fresh identity, no load balancer, no names and no health endpoints, which are the living cluster's."""
    wanted = wish(sealed(reference_sources()), expires=OVER).wanted
    assert wanted.mode == MANIFESTS
    assert (wanted.expires, wanted.balancer, wanted.dns, wanted.health) == (OVER, False, (), False)
    assert [each.name for each in wanted.clusters] == [MAIN]


def test_a_rehearsal_takes_nothing_over() -> None:
    """Neither the living cluster's identity nor its servers' names; and that it is in its network is said."""
    there = sealed(reference_sources())
    with pytest.raises(UsageError, match="mode etcd"):
        wish(there, ETCD, expires=OVER)
    with pytest.raises(UsageError, match="--replace"):
        wish(there, expires=OVER, replace=True)
    assert any("private network" in each for each in wish(there, expires=OVER).warnings)
    own = wish(there, expires=OVER, target={**REFERENCE, "network": "rehearsals"})
    assert not any("private network" in each for each in own.warnings)


def test_parts_are_rehearsed_under_other_names() -> None:
    """Objects and databases of a namespace that keeps its name would replace what lives."""
    there = sealed(reference_sources())
    here = {"provider": "ssh", "servers": [{"name": "k3s-mgr", "address": "192.0.2.10"}]}
    of_docfast: dict[str, Any] = {
        "only": ("manifests",),
        "parts": ("docfast/Secret/a",),
        "target": here,
        "expires": OVER,
    }
    with pytest.raises(UsageError, match="--namespace docfast=NEW"):
        wish(there, **of_docfast)
    wanted = wish(there, **of_docfast, namespaces=(("docfast", "docfast-copy"),)).wanted
    assert (wanted.mode, wanted.expires) == (PARTS, OVER)
    database = f"database/{MAIN}/docfast"
    with pytest.raises(UsageError, match="--namespace postgres=NEW"):
        wish(there, only=(database,), target=here, expires=OVER)
