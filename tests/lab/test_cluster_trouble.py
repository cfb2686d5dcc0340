"""A whole cluster's backup while its API stumbles, its box gets full, or one of its two vaults is down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.machines import machine, shell
from tests.lab.site import PASSPHRASE
from tests.lab.stumbling import Fault, stumbling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]
MORE_THAN_A_PAGE = 600
LARGE = "/root/drkit-test-large"


def configure(site: Site, lab: Lab, vault: str, kubeconfig: Path | None = None, more: str = "") -> None:
    """Write ``drkit.yaml``: the lab's cluster, its own vault as it is told, the databases' one in a directory."""
    (site.path / "passphrase").write_text(PASSPHRASE + "\n")
    ssh = f"user: root, key: {lab['ssh']['key']}, known_hosts: {lab['ssh']['known_hosts']}"
    lines = [
        f"cluster: {{name: lab, kubeconfig: {json.dumps(str(kubeconfig or lab['kubeconfig']))}, ssh: {{{ssh}}}}}",
        "vaults:",
        f"  cluster: {{{vault}, passphrase: {{file: passphrase}}}}",
        "  databases: {url: vault, passphrase: {file: passphrase}}",
        "databases: [{name: shop, dsn: {file: shop.dsn}}]",
        more,
    ]
    site.config.write_text("\n".join([*lines, ""]))


@pytest.fixture
def shop(site: Site, small: str) -> None:
    """A database beside the cluster."""
    (site.path / "shop.dsn").write_text(site.postgres.address(small))


@pytest.fixture
def crowd(lab: Lab) -> Iterator[str]:
    """A namespace with more objects of a kind than a page has."""
    namespace = f"test-{uuid4().hex[:8]}"
    assert kubectl(lab, "create", "namespace", namespace).status == 0
    metadata = [{"name": f"one-{number}", "namespace": namespace} for number in range(MORE_THAN_A_PAGE)]
    objects = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": each} for each in metadata]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    done = kubectl(lab, "create", "-f", "-", stdin=listed)
    assert done.status == 0, done.err
    yield namespace
    kubectl(lab, "delete", "namespace", namespace, "--wait=false")


def test_an_api_that_stumbles_is_exported_whole(lab: Lab, site: Site, shop: None, crowd: str) -> None:
    """429 and 500 are asked again, a list whose next page is gone is begun again: no object is missing."""
    with stumbling(Path(lab["kubeconfig"]), site.path) as way:
        way.faults = [
            Fault(r"/api/v1/secrets\?", 429, 2),
            Fault(r"/apis/apps/v1/deployments\?", 500, 2),
            Fault(r"/api/v1/configmaps\?.*continue=", 410, 1),
        ]
        configure(site, lab, "url: other", way.kubeconfig)
        sealed = site.run("backup", "manifests", "--json").json()["point"]
        assert {status for status, _ in way.given} == {410, 429, 500}
    assert sealed["complete"] is True
    site.run("restore", "--only", "manifests", "--into", "out")
    found = [path for path in (site.path / "out").rglob("one-*") if crowd in path.parts]
    assert len([path for path in found if path.suffix == ".yaml"]) == MORE_THAN_A_PAGE


def test_an_api_that_goes_on_failing_is_named(lab: Lab, site: Site, shop: None) -> None:
    """A kind that is never listed makes the source partial: exit code 3, and it is said which one."""
    with stumbling(Path(lab["kubeconfig"]), site.path) as way:
        way.faults = [Fault(r"/apis/apps/v1/deployments\?", 500, 1000)]
        configure(site, lab, "url: other", way.kubeconfig)
        ran = site.run("backup", "manifests", "--json", expect=3)
    assert ran.json()["point"]["complete"] is False
    assert "deployments" in json.dumps(ran.json()["point"]["sources"])


def test_a_box_that_gets_full_in_the_middle_of_a_source(lab: Lab, site: Site, shop: None) -> None:
    """What was sealed before is whole, nothing half is counted, and the other vault is sealed."""
    account = lab["box"]["accounts"][1]
    url = f"ssh://{account['user']}@{lab['box']['address']}:{lab['box']['port']}/./{uuid4().hex[:8]}"
    keys = f"{{key: {lab['box']['append_only_key']}, known_hosts: {lab['ssh']['known_hosts']}}}"
    vault = f"url: {json.dumps(url)}, ssh: {keys}, remote_path: borg-1.4"
    configure(site, lab, vault)
    before = site.run("backup", "manifests", "--json").json()["point"]["id"]
    with machine(lab, "server-1") as server:
        shell(server, f"head -c 30000000 /dev/urandom >{LARGE}")
        try:
            configure(site, lab, vault, more=f"server_files: {{extra: [{LARGE}]}}")
            ran = site.run("backup", "--json", expect=3)
        finally:
            shell(server, f"rm {LARGE}")
    assert "quota" in json.dumps(ran.json()).lower() or "room" in json.dumps(ran.json()).lower()
    configure(site, lab, vault)
    points = site.points()
    assert before in {each["id"] for each in points if each["complete"]}
    assert not [each for each in points if each["complete"] and each["id"] != before]
    site.run("restore", "--point", before, "--only", "manifests", "--into", "out")


def test_one_of_two_vaults_is_down(lab: Lab, site: Site, shop: None) -> None:
    """The other one gets its sources, and the run says which did not; the next run with both is whole."""
    account = lab["box"]["accounts"][0]
    keys = f"{{key: {lab['box']['append_only_key']}, known_hosts: {lab['ssh']['known_hosts']}}}"
    configure(site, lab, f'url: "ssh://{account["user"]}@{lab["box"]["address"]}:1/./down", ssh: {keys}')
    ran = site.run("backup", "--json", expect=None)
    assert ran.status in {3, 10}, ran
    assert "cluster" in json.dumps(ran.json())
    configure(site, lab, "url: other")
    kept = site.run("points", "--json", expect=None).json()
    assert "database/shop" in json.dumps(kept)
    assert site.run("backup", "--json").json()["point"]["complete"] is True
