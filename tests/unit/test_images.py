"""Which images are needed, what their names mean, who asks for them and where: all without a network."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.errors import ConfigurationError
from drkit.masking import mask
from drkit.restore.images import keyring, mirrors, reference
from drkit.restore.images.wanted import wanted
from tests.contract.api_server import DEPLOYMENTS, resource

if TYPE_CHECKING:
    from drkit.cluster.kube import Object, Resource

DIGEST = f"sha256:{'0a' * 32}"
SECRETS, ACCOUNTS = resource("secrets", "Secret"), resource("serviceaccounts", "ServiceAccount")
CLUSTERS = resource("clusters", "Cluster", "postgresql.cnpg.io")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("ghcr.io/cloudnative-pg/postgresql:17.2", "ghcr.io/cloudnative-pg/postgresql:17.2"),
        ("localhost/a/b:1", "localhost/a/b:1"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("[::1]:5000/a:b", "[::1]:5000/a:b"),
        (f"registry.example.com:5000/a/b@{DIGEST}", f"registry.example.com:5000/a/b@{DIGEST}"),
        (f"a/b:1.2@{DIGEST}", f"docker.io/a/b:1.2@{DIGEST}"),
    ],
)
def test_a_name_is_completed_as_nodes_do(text: str, whole: str) -> None:
    """Registry, user and tag are added where a name leaves them out, and a digest counts more than a tag."""
    found = reference.parse(text)
    assert found is not None
    assert str(found) == whole
    assert reference.parse(str(found)) == found
    assert found.version == (DIGEST if "@" in text else whole.rpartition(":")[2])


@pytest.mark.parametrize(
    "text",
    ["", "a b", "UPPER", "a/../b", "a:", "a:b/c:", "a@sha256:1", f"a@{DIGEST}x", "http://a/b", "a//b", "a\n", "a?b"],
)
def test_what_is_no_name_is_none(text: str) -> None:
    """A text that no image can be called by leads to no question, and into no URL."""
    assert reference.parse(text) is None


@given(st.text(max_size=40))
def test_no_text_is_too_odd(text: str) -> None:
    """Whatever an image is called, what is asked for has only letters of an URL's path."""
    found = reference.parse(text)
    assert found is None or all(letter.isascii() and letter not in " ?#\\" for letter in str(found))


def pull_secret(**auths: Any) -> Object:
    """A secret with these entries, ``__`` for a dot."""
    document = {"auths": {name.replace("__", "."): entry for name, entry in auths.items()}}
    encoded = base64.b64encode(json.dumps(document).encode()).decode()
    return {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded}}


def entry(user: str, password: str) -> dict[str, str]:
    """As Docker writes it."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def found_logins(place: str, image: str) -> list[str]:
    """The users that a node would ask as."""
    document = {"auths": {place: entry("somebody", "pass-word")}}
    secret = {
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(document).encode()).decode()},
    }
    parsed = reference.parse(image)
    assert parsed is not None
    return [login.user for login in keyring.chosen(parsed, keyring.logins(secret))]


@pytest.mark.parametrize(
    ("place", "image", "is_for"),
    [
        ("https://index.docker.io/v1/", "nginx", True),
        ("docker.io", "nginx", True),
        ("ghcr.io", "ghcr.io/a/b", True),
        ("ghcr.io/a", "ghcr.io/a/b", True),
        ("ghcr.io/a", "ghcr.io/ab/c", False),
        ("https://ghcr.io/v2/", "ghcr.io/a", True),
        ("*.example.com", "registry.example.com/a", True),
        ("*.example.com", "a.b.example.com/a", False),
        ("registry.example.com:5000", "registry.example.com:5000/a", True),
        ("registry.example.com:5000", "registry.example.com/a", False),
        ("ghcr.io", "quay.io/a/b", False),
    ],
)
def test_a_pull_secret_is_for_what_the_kubelet_takes_it_for(place: str, image: str, is_for: bool) -> None:
    """Hosts match part by part, a path begins the repository, and Docker Hub has several names."""
    assert found_logins(place, image) == (["somebody"] if is_for else [])


def test_the_most_exact_login_comes_first_and_none_is_shown() -> None:
    """A login for a part of a registry goes before one for all of it; passwords appear nowhere."""
    logins = keyring.logins(pull_secret(ghcr__io=entry("all", "pass-word-1"))) + keyring.logins(
        {
            "type": "kubernetes.io/dockercfg",
            "data": {
                ".dockercfg": base64.b64encode(
                    json.dumps({"ghcr.io/a": {"username": "part", "password": "pass-word-2"}}).encode()
                ).decode()
            },
        }
    )
    image = reference.parse("ghcr.io/a/b")
    assert image is not None
    assert [login.user for login in keyring.chosen(image, logins)] == ["part", "all"]
    assert "pass-word" not in repr(logins)
    assert mask("a pass-word-1 b") == "a *** b"


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"type": "Opaque", "data": {".dockerconfigjson": "e30="}},
        {"type": "kubernetes.io/dockerconfigjson", "data": None},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "!"}},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "W10="}},
        pull_secret(a=3, b={"auth": "!"}, c={"username": "x"}, d={"auth": ""}),
    ],
)
def test_a_broken_pull_secret_is_none(secret: Object) -> None:
    """What is no pull secret says nothing, and stops nothing."""
    assert keyring.logins(secret) == ()


FILE = b"""
mirrors:
  docker.io:
    endpoint: ["https://mirror.example.com:5000", "http://10.0.0.1/prefix/v2"]
    rewrite: {"^library/(.*)": "hub/$1"}
  "*":
    endpoint: ["https://all.example.com"]
  registry.example.com: {}
configs:
  mirror.example.com:5000:
    auth: {username: node, password: pass-word-3}
    tls: {insecure_skip_verify: true}
"""


def test_mirrors_are_asked_first() -> None:
    """A registry's endpoints in their order with rewritten names, those of all else for the others, itself at last."""
    told = mirrors.parse(FILE)

    def asked(image: str) -> list[tuple[str, str]]:
        parsed = reference.parse(image)
        assert parsed is not None
        return [(each.url, each.repository) for each in told.endpoints(parsed)]

    assert asked("nginx") == [
        ("https://mirror.example.com:5000/v2", "hub/nginx"),
        ("http://10.0.0.1/prefix/v2", "hub/nginx"),
        ("https://registry-1.docker.io/v2", "library/nginx"),
    ]
    assert asked("ghcr.io/a/b") == [("https://all.example.com/v2", "a/b"), ("https://ghcr.io/v2", "a/b")]
    assert asked("registry.example.com/a") == [("https://registry.example.com/v2", "a")]
    image = reference.parse("nginx")
    assert image is not None
    first, second, own = told.endpoints(image)
    assert (first.login, first.insecure, first.is_mirror) == (first.login, True, True)
    assert first.login is not None
    assert first.login.user == "node"
    assert (second.login, own.is_mirror) == (None, False)
    assert "pass-word" not in repr(told)
    local = reference.parse("localhost:5000/a")
    assert local is not None
    assert mirrors.Mirrors().endpoints(local)[0].url == "http://localhost:5000/v2"


@pytest.mark.parametrize(
    "text",
    [b"[", b"mirrors: 3", b"mirrors: {a: {endpoint: x}}", b"configs: []", b"- a", b"mirrors: {a: {rewrite: {'(': b}}}"],
)
def test_a_file_that_k3s_could_not_read_is_refused(text: bytes) -> None:
    """What is no list of registries is a mistake in the configuration, named as one."""
    with pytest.raises(ConfigurationError, match="registries"):
        mirrors.parse(text)


def named(name: str, **rest: Any) -> Object:
    """An object in the namespace of these tests."""
    return {"metadata": {"name": name, "namespace": "one"}, **rest}


def deployment(name: str, **pod: Any) -> tuple[Resource, Object]:
    """One whose pods are as told."""
    return DEPLOYMENTS, named(name, spec={"template": {"spec": pod}})


def test_every_image_of_a_workload_is_found() -> None:
    """Containers of all sorts, jobs that run now and then, and custom resources' own fields."""
    cron = resource("cronjobs", "CronJob", "batch")
    job = {"spec": {"template": {"spec": {"containers": [{"image": "job"}]}}}}
    found = wanted(
        [
            deployment(
                "web",
                containers=[{"image": "main", "imagePullPolicy": "Never"}],
                initContainers=[{"image": "first"}],
                ephemeralContainers=[{"image": "debug"}],
            ),
            (cron, named("nightly", spec={"jobTemplate": job, "suspend": True})),
            (CLUSTERS, named("main-db", spec={"imageName": "postgresql:17", "instances": 2})),
            (
                resource("proms", "Prom", "example.com"),
                named("a", spec={"image": "prom", "containers": [{"image": "side"}]}),
            ),
            (resource("configmaps", "ConfigMap"), named("a", data={"image": "text"})),
            (
                resource("proms", "Prom", "example.com"),
                named("b", spec={"image": {"repository": "a"}}, status={"image": "x"}),
            ),
        ]
    )
    assert [(each.image, each.used_by) for each in found] == [
        ("main", "Deployment one/web"),
        ("first", "Deployment one/web"),
        ("debug", "Deployment one/web"),
        ("job", "CronJob one/nightly"),
        ("postgresql:17", "Cluster one/main-db"),
        ("prom", "Prom one/a"),
        ("side", "Prom one/a"),
    ]
    assert found[0].policy == "Never"


def test_who_starts_no_pods_needs_no_image() -> None:
    """What is suspended or scaled to nothing can do without; what a custom resource's field means nobody knows."""
    cron = resource("cronjobs", "CronJob", "batch")
    job = {"spec": {"template": {"spec": {"containers": [{"image": "job"}]}}}}
    template = {"spec": {"containers": [{"image": "web"}]}}
    found = wanted(
        [
            deployment("web", containers=[{"image": "web"}]),
            (DEPLOYMENTS, named("idle", spec={"replicas": 0, "template": template})),
            (cron, named("nightly", spec={"jobTemplate": job})),
            (cron, named("never", spec={"jobTemplate": job, "suspend": True})),
            (CLUSTERS, named("main-db", spec={"imageName": "postgresql:17", "instances": 2})),
        ]
    )
    assert {each.used_by: each.runs for each in found} == {
        "Deployment one/web": True,
        "Deployment one/idle": False,
        "CronJob one/nightly": True,
        "CronJob one/never": False,
        "Cluster one/main-db": False,
    }


def test_pull_secrets_are_the_pods_own_or_its_accounts() -> None:
    """A pod's own pull secrets count; those of its service account where it names none; never another namespace's."""

    def users(pod: dict[str, Any]) -> list[str]:
        objects = [
            deployment("web", containers=[{"image": "ghcr.io/a/b"}], **pod),
            (SECRETS, {**named("own"), **pull_secret(ghcr__io=entry("own", "pass-word"))}),
            (SECRETS, {**named("account"), **pull_secret(ghcr__io=entry("account", "pass-word"))}),
            (
                SECRETS,
                {"metadata": {"name": "far", "namespace": "two"}, **pull_secret(ghcr__io=entry("far", "pass-word"))},
            ),
            (ACCOUNTS, named("default", imagePullSecrets=[{"name": "account"}, {"name": "far"}])),
            (ACCOUNTS, named("other")),
        ]
        return [login.user for login in wanted(objects)[0].logins]

    assert users({}) == ["account"]
    assert users({"imagePullSecrets": [{"name": "own"}]}) == ["own"]
    assert users({"serviceAccountName": "other"}) == []
    database = (CLUSTERS, named("main-db", spec={"imageName": "ghcr.io/a/b", "imagePullSecrets": [{"name": "own"}]}))
    secret = (SECRETS, {**named("own"), **pull_secret(ghcr__io=entry("own", "pass-word"))})
    assert [login.user for login in wanted([database, secret])[0].logins] == ["own"]
