"""The audit of a cluster by its API, and of a recovery point of the same cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from drkit.backup.run import Run
from drkit.cli.main import app
from drkit.clock import SystemClock
from drkit.cluster.api import connect
from drkit.drill.values import Drill, Injection, Probe
from drkit.errors import NoSuchPoint
from drkit.observe.progress import PlainReporter
from drkit.points.signing import verifier
from drkit.posture.archived import from_point
from drkit.posture.audit import audit
from drkit.posture.expect import expected
from drkit.sources.topology import TopologySource
from tests.contract.api_server import resource
from tests.contract.cluster_site import ClusterSite, cluster_site
from tests.unit.posture_cluster import reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLUSTER_WIDE = {"nodes", "persistentvolumes", "namespaces"}


def serve(site: ClusterSite) -> None:
    """Let the API have the reference cluster's objects."""
    site.api.resources = []
    for kind, objects in reference().items():
        plural, _, group = kind.partition(".")
        if not objects:
            continue
        version = objects[0]["apiVersion"].rpartition("/")[2]
        served = resource(plural, objects[0]["kind"], group, version, namespaced=plural not in CLUSTER_WIDE)
        site.api.resources.append(served)
        site.api.add(served, *objects)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterSite]:
    """The reference cluster."""
    with cluster_site(tmp_path, monkeypatch) as made:
        serve(made)
        yield made


def test_a_recovery_point_is_judged_like_the_cluster_that_it_is_of(site: ClusterSite) -> None:
    """Objects and topology come out of the archives; what these do not tell is named."""
    sealed = site.backup(topology=True)
    point = site.points().find(sealed.id)
    snapshot = from_point(point, {"cluster": site.vault}, verifier(site.config))
    found = audit(snapshot, "docfast", sealed.id)
    ids = {rule.id for rule, _ in found.findings()}
    assert {"one-server", "node-loss-noticed-late", "postgres-isolated-primary"} <= ids
    assert found.level.number == 1
    unchecked = {each.rule.id for each in found.checked if each.unchecked}
    assert {"etcd-near-quota", "no-firewall", "balancer-checks-slow", "no-escrow"} <= unchecked
    # The Secrets that ingresses name are in the archive as well.
    assert "ingress-certificate-ends" not in unchecked
    assert [row for row in found.outlook if row.probe == "http docfast.example"]


def test_a_point_without_manifests_is_no_cluster(site: ClusterSite) -> None:
    """What was backed up without its objects cannot be judged, and that is said."""
    run = Run(site.config, {"cluster": site.vault}, SystemClock(), PlainReporter())
    sealed = run.execute([TopologySource(connect(site.api.access), (), None)]).descriptor
    with pytest.raises(NoSuchPoint, match="no manifests"):
        from_point(site.points().find(sealed.id), {"cluster": site.vault}, verifier(site.config))


def test_a_drill_begins_with_what_is_expected_of_it(site: ClusterSite) -> None:
    """From the cluster's own objects, each probe has a window with its error and parts."""
    page = Probe("page", "http", "", 0.2, 2.0, 15.0, options={"url": "https://docfast.example/"})
    fault = Injection("power-off", "k3s-w1", 1.0, 60.0)
    drill = Drill("worker-down", "", 5.0, (page,), (fault,), 5, 60.0)
    found = expected(connect(site.api.access), (), site.config, drill)
    assert set(found) == {"page"}
    assert (found["page"]["seconds"], found["page"]["error"]) == (48.5, 8.5)
    assert [name for name, _ in found["page"]["parts"]] == ["detection", "endpoint removal"]


def test_the_command_judges_a_live_cluster(site: ClusterSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 23 at the severity that was asked for and with 0 below it, and writes the other forms as asked."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": site.api.url}}],
                "users": [{"name": "u", "user": {"token": "of-the-test"}}],
            }
        )
    )
    config = tmp_path / "drkit.yaml"
    config.write_text(
        f"cluster: {{name: docfast, kubeconfig: {kubeconfig}, servers: [{{name: k3s-mgr, address: 127.0.0.1}}]}}\n"
        f"vaults: {{cluster: {{url: {tmp_path / 'vault'}, passphrase: {{env: DRKIT_TEST_PASSPHRASE}}}}}}\n"
    )
    monkeypatch.setenv("DRKIT_TEST_PASSPHRASE", "of the test")
    sarif, page = tmp_path / "audit.sarif", tmp_path / "audit.html"
    words = ["audit", "--json", "--config", str(config), "--sarif", str(sarif), "--html", str(page)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 23, done.output
    found = json.loads(done.stdout)
    assert found["level"]["number"] == 1
    assert "one-server" in {each["id"] for each in found["findings"]}
    # No repository is no backup, and that is known; the server's files and the provider are not.
    assert "no-backup" in {each["id"] for each in found["findings"]}
    assert {"etcd-near-quota", "no-firewall"} <= {each["id"] for each in found["unchecked"]}
    assert json.loads(sarif.read_text())["runs"][0]["results"]
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert CliRunner().invoke(app, [*words, "--fail-on", "never"]).exit_code == 0
    text = CliRunner().invoke(app, ["audit", "--config", str(config), "--what-if", "node.grace=16s"])
    assert "WINDOWS with node.grace=16s" in text.stdout
    assert CliRunner().invoke(app, ["audit", "--config", str(config), "--what-if", "moon=full"]).exit_code == 2
    nowhere = ["audit", "--config", str(config), "--html", str(tmp_path / "no" / "page.html")]
    assert CliRunner().invoke(app, nowhere).exit_code == 2
