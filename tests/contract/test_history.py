"""What changed between two recovery points of a cluster, seen inside their archives."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from drkit.clock import SystemClock
from drkit.cluster.api import connect
from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.errors import TargetNotEmpty, VerificationFailed
from drkit.observe.progress import PlainReporter
from drkit.points.history import inside
from drkit.points.select import recovery_set
from drkit.points.signing import verifier
from drkit.restore.files import write_out
from drkit.verify.run import Verify
from tests.contract.api_server import CONFIG_MAPS, NAMESPACES, resource
from tests.contract.cluster_site import ClusterSite, cluster_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.cluster.kube import Object
    from drkit.points.descriptor import Descriptor

NODES = resource("nodes", "Node", namespaced=False)
SECRETS = resource("secrets", "Secret")


def config_map(name: str, **data: str) -> Object:
    """A small object."""
    return {"metadata": {"name": name, "namespace": "shop"}, "data": data}


def node(name: str, zone: str) -> Object:
    """A node, of which only a rebuild's part is kept."""
    return {"metadata": {"name": name, "labels": {"zone": zone}}, "spec": {}, "status": {"conditions": []}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterSite]:
    """A cluster with two nodes and a few objects."""
    with cluster_site(tmp_path, monkeypatch) as made:
        made.api.resources = [CONFIG_MAPS, NAMESPACES, NODES, SECRETS]
        made.api.add(NAMESPACES, {"metadata": {"name": "shop"}})
        for each in (config_map("hours", sunday="closed", monday="open"), config_map("old")):
            made.api.add(CONFIG_MAPS, each)
        made.api.add(SECRETS, {"metadata": {"name": "key", "namespace": "shop"}, "data": {"key": "aHVzaA=="}})
        for name in ("w1", "w2"):
            made.api.add(NODES, node(name, "a"))
        yield made


def changes(site: ClusterSite, old: Descriptor, new: Descriptor) -> list[tuple[Any, ...]]:
    """What ``points diff`` says of the archives."""
    found = inside(old, new, {"cluster": site.vault})
    return [(each.source, each.what, each.change, each.before, each.after) for each in found]


def replace(site: ClusterSite, listed: str, name: str, obj: Object | None) -> None:
    """Put another object in an object's place, or take it away."""
    kept = [each for each in site.api.objects[listed] if each["metadata"]["name"] != name]
    site.api.objects[listed] = kept + ([obj] if obj else [])


def test_a_cluster_that_nobody_touched_has_not_changed(site: ClusterSite) -> None:
    """Two points of the same cluster show no difference."""
    assert changes(site, site.backup(topology=True), site.backup(topology=True)) == []


def test_exactly_what_was_changed_is_shown(site: ClusterSite) -> None:
    """Objects that came, went and changed, field by field; nodes likewise; a secret's value never."""
    old = site.backup(topology=True)
    kinds = CONFIG_MAPS.path
    replace(site, kinds, "hours", config_map("hours", sunday="open", monday="open"))
    replace(site, kinds, "old", None)
    site.api.add(CONFIG_MAPS, config_map("new"))
    replace(site, SECRETS.path, "key", {"metadata": {"name": "key", "namespace": "shop"}, "data": {"key": "bmV3"}})
    replace(site, NODES.path, "w1", node("w1", "b"))
    replace(site, NODES.path, "w2", None)
    assert changes(site, old, site.backup(topology=True)) == [
        ("manifests", "configmaps shop/hours data.sunday", "changed", '"closed"', '"open"'),
        ("manifests", "configmaps shop/new", "added", None, None),
        ("manifests", "configmaps shop/old", "removed", None, None),
        ("manifests", "secrets shop/key data.key", "changed", "(secret)", "(secret)"),
        ("topology", "nodes[w1] labels.zone", "changed", "a", "b"),
        ("topology", "nodes[w2]", "removed", None, None),
    ]


def test_an_archive_that_is_not_what_was_sealed_is_not_compared(site: ClusterSite) -> None:
    """A damaged archive is an error, not a difference."""
    old = site.backup()
    site.api.add(CONFIG_MAPS, config_map("new"))
    new = site.backup()
    other = replace_in(new, sha256="0" * 64)
    with pytest.raises(VerificationFailed, match="not what was sealed"):
        inside(old, other, {"cluster": site.vault})


def replace_in(sealed: Descriptor, **changed: Any) -> Descriptor:
    """The same point with another entry for its first source."""
    return dataclasses.replace(sealed, sources=(dataclasses.replace(sealed.sources[0], **changed),))


def verified(site: ClusterSite) -> tuple[list[str], list[str]]:
    """What a deep verification, with the cluster's API to try objects on, looked at, and what is wrong."""
    vaults = {"cluster": site.vault}
    work = Verify(site.config, vaults, verifier(site.config), SystemClock(), PlainReporter())
    work.restored(recovery_set(site.points().points), connect(site.api.access))
    return [item.what for item in work.findings.items], work.findings.wrong


def test_deep_verification_opens_the_archives(site: ClusterSite) -> None:
    """Every object and the topology are read and compared; an object that an API refuses is a finding."""
    sealed = site.backup(topology=True)
    assert verified(site) == ([f"point {sealed.id}", "manifests", "topology"], [])
    (point,) = site.points().points
    assert point.verified is not None
    assert point.verified.level == "restored"
    site.api.fail("/configmaps/hours", status=422, times=1)
    (wrong,) = verified(site)[1]
    assert "refuses v1/configmaps shop/hours" in wrong


def test_a_host_that_does_not_answer_is_said(site: ClusterSite) -> None:
    """The topology is whole without it, and the descriptor's warnings name the host and why it was not asked."""
    sealed = site.backup(topology=True, hosts=[SshNode("w1", "127.0.0.1", Ssh(port=1))])
    assert sealed.complete
    (warning,) = sealed.warnings
    assert warning.startswith("topology: w1 was not asked: ")


def test_manifests_are_written_out_as_a_tree(site: ClusterSite, tmp_path: Path) -> None:
    """``restore --into`` gives one readable file for each object, and refuses to write over anything."""
    sealed = site.backup(topology=True)
    out = tmp_path / "out"
    vaults = {"cluster": site.vault}
    trees = write_out(out, sealed.sources, vaults, PlainReporter())
    assert [path.name for path in trees] == ["manifests", "topology-topology.json"]
    found = [path.relative_to(out) for path in out.rglob("*.yaml")]
    assert any("hours" in path.name and "shop" in path.parts for path in found), found
    assert json.loads((out / "topology-topology.json").read_text())["nodes"][0]["name"] == "w1"
    assert {path.stat().st_mode & 0o077 for path in out.rglob("*")} == {0}
    with pytest.raises(TargetNotEmpty):
        write_out(out, sealed.sources, vaults, PlainReporter())
