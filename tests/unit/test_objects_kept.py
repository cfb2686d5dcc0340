"""What a new cluster keeps itself, told from the marks that k3s, Helm and the API server leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drkit.manifests.skip import reason as skipped
from drkit.restore.objects import kept
from tests.contract.api_server import CONFIG_MAPS, DEPLOYMENTS, resource

if TYPE_CHECKING:
    from drkit.cluster.kube import Object

ROLES = resource("clusterroles", "ClusterRole", "rbac.authorization.k8s.io", namespaced=False)
DEFINITIONS = resource(
    "customresourcedefinitions", "CustomResourceDefinition", "apiextensions.k8s.io", namespaced=False
)
SECRETS = resource("secrets", "Secret")
PACKAGED = "https://%{KUBERNETES_API}%/static/charts/traefik-27.0.201+up27.0.2.tgz"
OWN = kept.own(
    [{"metadata": {"namespace": "kube-system", "name": "coredns"}}],
    [
        {"metadata": {"namespace": "kube-system", "name": "traefik"}, "spec": {"chart": PACKAGED}},
        {"metadata": {"namespace": "kube-system", "name": "mine"}, "spec": {"chart": "https://example.com/a.tgz"}},
    ],
)


def managed(*managers: str, **metadata: Any) -> Object:
    """A live object whose fields these managers own."""
    return {"metadata": {"managedFields": [{"manager": each} for each in managers], **metadata}}


def marked(owner: str, namespace: str, name: str) -> Object:
    """A sealed object that k3s's library has marked as belonging to an owner."""
    prefix = "objectset.rio.cattle.io/owner"
    annotations = {f"{prefix}-gvk": owner, f"{prefix}-namespace": namespace, f"{prefix}-name": name}
    return {"metadata": {"name": "a", "annotations": annotations}}


def of_release(namespace: str, name: str) -> Object:
    """A sealed object that Helm has installed."""
    return {
        "metadata": {"annotations": {"meta.helm.sh/release-namespace": namespace, "meta.helm.sh/release-name": name}}
    }


ADDON, CHART = "k3s.cattle.io/v1, Kind=Addon", "helm.cattle.io/v1, Kind=HelmChart"
RELEASE = {"type": "helm.sh/release.v1", "metadata": {"namespace": "kube-system", "labels": {"name": "traefik"}}}


@pytest.mark.parametrize(
    "wish",
    [
        marked(ADDON, "kube-system", "coredns"),
        marked(CHART, "kube-system", "traefik"),
        of_release("kube-system", "traefik"),
        RELEASE,
    ],
)
def test_what_k3s_brings_itself_is_left_though_it_is_not_there_yet(wish: Object) -> None:
    """Objects of AddOns and packaged charts that the new cluster has too come from k3s, sooner or later."""
    assert kept.reason(CONFIG_MAPS, wish, None, OWN)
    assert not kept.reason(CONFIG_MAPS, wish, None, kept.Own())


@pytest.mark.parametrize(
    "wish",
    [
        {"metadata": {"name": "a"}},
        marked(ADDON, "kube-system", "mine"),
        marked(CHART, "kube-system", "mine"),
        of_release("kube-system", "mine"),
        of_release("other", "traefik"),
        {**RELEASE, "metadata": {"namespace": "other", "labels": {"name": "traefik"}}},
        {"metadata": {"annotations": 3, "labels": None}},
    ],
)
def test_what_the_user_has_installed_is_applied(wish: Object) -> None:
    """AddOns and charts of the user's own that the new cluster does not have are brought back by the restore."""
    assert kept.reason(CONFIG_MAPS, wish, None, OWN) == ""


@pytest.mark.parametrize(
    ("managers", "left"),
    [
        (["deploy@server-1"], True),
        (["deploy", "k3s", "kube-controller-manager"], True),
        (["helm-controller@server-1"], True),
        (["deploy@server-1", "kubectl-edit"], False),
        (["kube-controller-manager"], False),
        (["kubectl"], False),
        (["deployer"], False),
        ([], False),
    ],
)
def test_what_k3s_alone_has_written_is_left(managers: list[str], left: bool) -> None:
    """An object that is there and that nobody but k3s has written is k3s's; who notes its status has not written it."""
    live = managed(*managers)
    live["metadata"]["managedFields"].append({"manager": "someone", "subresource": "status"})
    assert bool(kept.reason(DEPLOYMENTS, {"metadata": {"name": "a"}}, live, kept.Own())) == left


@pytest.mark.parametrize(
    "live", [{}, {"metadata": None}, {"metadata": {"managedFields": [None, 3, {}]}}, {"metadata": []}]
)
def test_odd_shapes_are_nobodys(live: Object) -> None:
    """What a server answers may have any shape."""
    assert kept.reason(ROLES, {"metadata": 7}, live, kept.Own()) == ""


def test_default_rights_are_the_api_servers_unless_somebody_took_them() -> None:
    """A default role stays as the new version has it, unless the old cluster's owner had taken it out of its care."""
    live = managed("kube-apiserver", labels={"kubernetes.io/bootstrapping": "rbac-defaults"})
    annotation = "rbac.authorization.kubernetes.io/autoupdate"
    assert kept.reason(ROLES, {"metadata": {"annotations": {annotation: "true"}}}, live, kept.Own())
    assert not kept.reason(ROLES, {"metadata": {"annotations": {annotation: "false"}}}, live, kept.Own())
    assert not kept.reason(CONFIG_MAPS, {"metadata": {}}, live, kept.Own())


def test_k3s_own_definitions_are_left() -> None:
    """Definitions of k3s's own groups are there before any restore, and are of its version."""
    live = {**managed("kubectl"), "spec": {"group": "helm.cattle.io"}}
    assert kept.reason(DEFINITIONS, {"metadata": {}}, live, kept.Own())
    assert not kept.reason(DEFINITIONS, {"metadata": {}}, {**live, "spec": {"group": "example.com"}}, kept.Own())


def test_the_balancers_own_daemon_sets_are_no_wish() -> None:
    """k3s makes one for each service of type LoadBalancer, named with the service's identifier: an export skips it."""
    kind = resource("daemonsets", "DaemonSet", "apps")
    labels = {"svccontroller.k3s.cattle.io/svcname": "traefik"}
    assert skipped({"metadata": {"name": "svclb-traefik-1a2b3c4d", "labels": labels}}, kind)
    assert not skipped({"metadata": {"name": "traefik"}}, kind)
