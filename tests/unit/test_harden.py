"""``harden``: declared patches are looked at by a dry run, applied where they are lost, and nobody else's are taken."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import TypeAdapter

from drkit.cluster.api import connect
from drkit.config import load as loading
from drkit.config.patches import Patch
from drkit.errors import ConfigurationError, RestoreFailed
from drkit.posture.collect import with_patches
from drkit.posture.drift import APPLIED, CONFLICT, DRIFTED, FORBIDDEN, KEPT, REFUSED, drift, drifted, undone_by
from drkit.posture.harden import apply, look
from drkit.posture.snapshot import PATCHES
from drkit.restore.patches import apply_patches
from tests.contract.api_fields import Fields
from tests.contract.api_server import DEPLOYMENTS, MemoryApi, memory_api, resource
from tests.unit.posture_cluster import hardened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Object, Resource

BUDGETS = resource("poddisruptionbudgets", "PodDisruptionBudget", "policy")
CHART_CONFIGS = resource("helmchartconfigs", "HelmChartConfig", "helm.cattle.io")
POOLERS = resource("poolers", "Pooler", "postgresql.cnpg.io")
HEAD = "vaults:\n  databases: {url: vault, passphrase: {env: BORG}}\npatches:\n"
GOOD = "- {apiVersion: apps/v1, kind: Deployment, metadata: {namespace: a, name: b}, spec: {replicas: 0x3, x: null}}\n"
README = Path(__file__).parents[2] / "README.md"


def deployment(namespace: str, name: str, **spec: Any) -> Object:
    """One, as the API has it."""
    template = {"spec": {"containers": [{"name": name, "image": f"{name}:1"}]}}
    metadata = {"namespace": namespace, "name": name, "uid": name, "generation": 3, "managedFields": [{"a": 1}]}
    status = {"replicas": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 1, "template": template, **spec},
        "status": status,
    }


def patches(*declared: dict[str, Any]) -> list[Any]:
    """As the configuration has them."""
    return TypeAdapter(list[Patch]).validate_python(declared)


def scaled(replicas: int = 3, name: str = "coredns", **own: Any) -> dict[str, Any]:
    """A patch of a Deployment's replicas."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "kube-system", "name": name},
        "spec": {"replicas": replicas},
        **own,
    }


BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"namespace": "kube-system", "name": "coredns"},
    "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"k8s-app": "kube-dns"}}},
}


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A cluster with CoreDNS, whose API knows who owns which fields."""
    with memory_api() as made:
        made.resources += [BUDGETS, CHART_CONFIGS, POOLERS]
        made.fields = Fields()
        for kind in (BUDGETS, CHART_CONFIGS, POOLERS):
            made.objects[kind.path] = []
        made.add(DEPLOYMENTS, deployment("kube-system", "coredns"))
        yield made


@pytest.fixture
def api(memory: MemoryApi) -> HttpApi:
    """Its API."""
    return connect(memory.access)


def there(memory: MemoryApi, kind: Resource, name: str) -> Object:
    """An object as it is."""
    return next(each for each in memory.objects[kind.path] if each["metadata"]["name"] == name)


def by_hand(memory: MemoryApi, manager: str, name: str = "coredns") -> None:
    """Say that somebody else set all of a Deployment."""
    assert memory.fields is not None
    found = there(memory, DEPLOYMENTS, name)
    memory.fields.set((DEPLOYMENTS.path, found["metadata"]["namespace"], name), manager, found)


def test_a_lost_patch_is_found_applied_and_then_kept(memory: MemoryApi, api: HttpApi) -> None:
    """A look changes nothing and tells each field; applying makes it so; another look finds nothing."""
    wished, before = patches(scaled()), deepcopy(memory.objects)
    (found,) = look(api, wished)
    assert (found.state, found.what, found.fields) == (DRIFTED, "Deployment kube-system/coredns", ("spec.replicas",))
    assert memory.objects == before
    (done,) = apply(api, wished)
    assert (done.state, done.fields) == (APPLIED, ("spec.replicas",))
    assert there(memory, DEPLOYMENTS, "coredns")["spec"]["replicas"] == 3
    assert there(memory, DEPLOYMENTS, "coredns")["spec"]["template"]["spec"]["containers"][0]["image"] == "coredns:1"
    assert [each.state for each in (*look(api, wished), *apply(api, wished))] == [KEPT, KEPT]
    json.dumps(done.as_json())


def test_what_is_applied_by_two_is_as_by_one(memory: MemoryApi, api: HttpApi) -> None:
    """Between one's look and its applying, another one may do the same."""
    wished = patches(scaled(), {**BUDGET, "create": True})
    look(api, wished)
    assert [each.state for each in apply(connect(memory.access), wished)] == [APPLIED, APPLIED]
    assert [each.state for each in apply(api, wished)] == [KEPT, KEPT]


def test_drift_comes_back(memory: MemoryApi, api: HttpApi) -> None:
    """Whoever sets a declared field otherwise by force, as k3s does with what it deploys, is found out."""
    wished = patches(scaled(take_over=True))
    apply(api, wished)
    connect(memory.access).apply(
        f"{DEPLOYMENTS.path.removesuffix('/deployments')}/namespaces/kube-system/deployments/coredns",
        deployment("kube-system", "coredns"),
        dry_run=False,
        manager="deploy@k3s-mgr",
    )
    (found,) = look(api, wished)
    assert (found.state, found.owners) == (DRIFTED, "deploy@k3s-mgr: .spec.replicas")
    assert apply(api, wished)[0].state == APPLIED
    assert there(memory, DEPLOYMENTS, "coredns")["spec"]["replicas"] == 3


def test_fields_of_others_are_told_and_left(memory: MemoryApi, api: HttpApi) -> None:
    """Without ``take_over`` nobody loses what he set, by a look or by applying; what differs is shown."""
    by_hand(memory, "kubectl-scale")
    for found in (*look(api, patches(scaled())), *apply(api, patches(scaled()))):
        assert (found.state, found.owners) == (CONFLICT, "kubectl-scale: .spec.replicas")
        assert found.fields == ("spec.replicas",)
    assert there(memory, DEPLOYMENTS, "coredns")["spec"]["replicas"] == 1


def test_fields_that_a_restore_applied_are_ours(memory: MemoryApi, api: HttpApi) -> None:
    """After a restore, whose own manager set every field, nobody has to declare anything."""
    by_hand(memory, "drkit")
    assert apply(api, patches(scaled()))[0].state == APPLIED


def test_a_restore_takes_over(memory: MemoryApi, api: HttpApi) -> None:
    """In a cluster that was just made, the declared state counts; what is not there stops the restore by its number."""
    by_hand(memory, "deploy@k3s-mgr")
    assert apply_patches(api, patches(scaled())) == ["Deployment kube-system/coredns"]
    with pytest.raises(RestoreFailed, match=r"patches\[1\]: Deployment kube-system/absent: it is not there"):
        apply_patches(api, patches(scaled(), scaled(name="absent")))


def test_what_is_not_there_is_made_only_where_it_is_declared(memory: MemoryApi, api: HttpApi) -> None:
    """Half an object is not made by mistake; a whole one is, where ``create`` says so."""
    assert [(each.state, each.why) for each in apply(api, patches(BUDGET))] == [(REFUSED, "it is not there")]
    (found,) = look(api, patches({**BUDGET, "create": True}))
    assert found.state == DRIFTED
    assert found.change is not None
    assert found.change.change == "added"
    assert apply(api, patches({**BUDGET, "create": True}))[0].state == APPLIED
    assert "create" not in there(memory, BUDGETS, "coredns")


def test_a_charts_values_are_a_helm_chart_config(memory: MemoryApi, api: HttpApi) -> None:
    """Values of a packaged chart lie where k3s looks for them, as YAML."""
    apply(api, patches({"chart": "traefik", "values": {"deployment": {"replicas": 2}}}))
    made = there(memory, CHART_CONFIGS, "traefik")
    assert made["metadata"]["namespace"] == "kube-system"
    assert yaml.safe_load(made["spec"]["valuesContent"]) == {"deployment": {"replicas": 2}}


def test_a_charts_values_differ_field_by_field() -> None:
    """A chart's values are text to the API, and are compared as what they say; a password among them is not shown."""

    def config(text: str) -> Object:
        return {"metadata": {"name": "traefik"}, "spec": {"valuesContent": text}}

    assert drift(CHART_CONFIGS, config("a: {b: 1}"), config("a:\n  b: 1\n")) is None
    found = drift(CHART_CONFIGS, config("a: {b: 1, password: x}\nc: 2026-01-01"), config("a: {b: 2, password: y}"))
    assert found is not None
    assert [(each.path, each.after) for each in found.fields] == [
        ("spec.valuesContent.a.b", "2"),
        ("spec.valuesContent.a.password", "(secret)"),
        ("spec.valuesContent.c", ""),
    ]
    assert drift(CHART_CONFIGS, config("a: ["), config("a: [[")) is not None


def test_one_that_is_refused_keeps_no_other(memory: MemoryApi, api: HttpApi) -> None:
    """The API's no to one patch is told, and the next one is applied."""
    memory.fail("deployments/absent", status=403)
    found = apply(api, patches(scaled(name="absent"), scaled()))
    assert [each.state for each in found] == [REFUSED, APPLIED]
    assert drifted(found) == found[:1]


@pytest.mark.parametrize(("verb", "refused"), [("patch", "fieldManager=drkit-patches"), ("get", "/deployments/")])
def test_an_account_that_may_only_read_is_no_drift(
    memory: MemoryApi, api: HttpApi, tmp_path: Path, verb: str, refused: str
) -> None:
    """The audit by such an account says that patches were not checked: that is neither drift nor none."""
    said = {"kind": "Status", "message": f"deployments.apps is forbidden: User x cannot {verb} resource", "code": 403}
    memory.fail(refused, times=9, status=403, body=json.dumps(said).encode())
    assert [each.state for each in look(api, patches(scaled()))] == [FORBIDDEN]
    file = tmp_path / "drkit.yaml"
    file.write_text(f"{HEAD}{GOOD.replace('a,', 'kube-system,').replace(': b', ': coredns')}", encoding="utf-8")
    snapshot = with_patches(hardened(), api, loading.load(file))
    assert "lacks the verb patch" in snapshot.unknown[PATCHES]
    memory.faults.clear()
    assert with_patches(hardened(), api, loading.load(file)).patches[0].state == DRIFTED


def test_a_kind_that_is_not_served_changes_nothing(memory: MemoryApi, api: HttpApi) -> None:
    """A patch that cannot be meant stops all of them before the first; so does a namespace that lacks."""
    odd = {**scaled(), "kind": "Unheard"}
    with pytest.raises(ConfigurationError, match=r"patches\[1\]: the cluster serves no Unheard of apps/v1"):
        apply(api, patches(scaled(), odd))
    with pytest.raises(ConfigurationError, match=r"patches\[0\]: Deployment x: expected metadata.namespace"):
        apply(api, patches({**scaled(), "metadata": {"name": "x"}}))
    assert there(memory, DEPLOYMENTS, "coredns")["spec"]["replicas"] == 1


def test_only_what_can_be_declared_is_drift() -> None:
    """What the API server and controllers write of their own is none."""
    live = deployment("shop", "x")
    after = {**deepcopy(live), "status": {"replicas": 9}}
    after["metadata"] |= {"generation": 4, "managedFields": [], "resourceVersion": "7"}
    assert drift(DEPLOYMENTS, live, after) is None
    after["spec"]["replicas"] = 2
    found = drift(DEPLOYMENTS, live, after)
    assert found is not None
    assert [(each.path, each.before, each.after) for each in found.fields] == [("spec.replicas", "1", "2")]


def test_whoever_undoes_a_patch_is_named() -> None:
    """A Deployment that an operator makes, or a chart sets, is not where a patch lasts."""
    owned = {"metadata": {"ownerReferences": [{"kind": "Pooler", "name": "main-db-pooler", "controller": True}]}}
    assert undone_by(owned).startswith("Pooler main-db-pooler makes this object")
    charted = {"metadata": {"annotations": {"meta.helm.sh/release-name": "traefik"}}}
    assert "{chart: traefik}" in undone_by(charted)
    assert undone_by(deployment("shop", "x")) == ""


def test_complaints_name_line_and_column(tmp_path: Path) -> None:
    """What is wrong in a patch is found in the file; objects as they were declared before are taken as they were."""
    file = tmp_path / "drkit.yaml"
    file.write_text(f"{HEAD}{GOOD}", encoding="utf-8")
    (patch,) = loading.load(file).patches
    assert patch.wished == {  # type: ignore[union-attr]
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "a", "name": "b"},
        "spec": {"replicas": 3, "x": None},
    }
    wrong = "- kind: Deployment\n  metadata: {}\n  take_over: 7\n- chart: traefik\n  value: {}\n"
    file.write_text(f"{HEAD}{GOOD}{wrong}", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        loading.load(file)
    said = refused.value.message
    assert f"{file}:9:3: patches.2.value: unknown key" in said
    assert f"{file}:5:3: patches.1.apiVersion: missing" in said
    assert f"{file}:6:3: patches.1.metadata.name: missing" in said
    assert f"{file}:7:3: patches.1.take_over: expected" in said
    file.write_text(f"{HEAD}{GOOD}{GOOD.replace('v1,', 'v1beta1,')}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"{file}:3:1: patches: expected one patch for each object; 0 and 1"):
        loading.load(file)


def test_the_readmes_patches_are_kept(memory: MemoryApi, api: HttpApi, tmp_path: Path) -> None:
    """The example of a whole cluster's patches is one that can be copied: applied once, it is as declared."""
    text = README.read_text(encoding="utf-8")
    (block,) = [each for each in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if each.startswith("patches:\n- ")]
    file = tmp_path / "drkit.yaml"
    file.write_text(f"{HEAD.partition('patches')[0]}{block}", encoding="utf-8")
    declared = loading.load(file).patches
    memory.add(DEPLOYMENTS, deployment("cnpg-system", "cnpg-controller-manager"), deployment("docfast", "docfast"))
    pooler = {"namespace": "postgres", "name": "main-db-pooler"}
    memory.add(POOLERS, {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Pooler", "metadata": pooler, "spec": {}})
    for name in ("coredns", "cnpg-controller-manager"):
        by_hand(memory, "deploy@k3s-mgr", name)
    assert {each.state for each in look(api, declared)} == {DRIFTED}
    assert {each.state for each in apply(api, declared)} == {APPLIED}
    assert {each.state for each in look(api, declared)} == {KEPT}
    pod = there(memory, DEPLOYMENTS, "docfast")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "docfast:1"
    assert pod["containers"][0]["readinessProbe"] == {"periodSeconds": 5, "failureThreshold": 2}
    assert {each["tolerationSeconds"] for each in pod["tolerations"]} == {10}
