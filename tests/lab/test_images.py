"""Images asked for at real registries."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from drkit.restore.images import mirrors
from drkit.restore.images.registry import State
from drkit.restore.images.resolve import resolve
from drkit.restore.images.wanted import wanted
from tests.contract.api_server import DEPLOYMENTS, resource
from tests.lab import registries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.cluster.kube import Object, Resource
    from drkit.restore.images.resolve import Finding
    from tests.lab.registries import Registry

# Building the registry needs what building the lab's Kubernetes needs.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("control-plane")]

SECRETS = resource("secrets", "Secret")


@pytest.fixture(scope="module", params=["password", "token"])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """A registry of each kind of login, with images for one architecture and for two."""
    with registries.with_passwords() if request.param == "password" else registries.with_tokens() as running:
        running.push("tokens/web", "both", "amd64", "arm64")
        running.push("tokens/web", "one", "amd64")
        yield running


def found(registry: Registry, image: str, password: str = registries.PASSWORD, file: str = "") -> Finding:
    """What is found out about an image that a workload with a pull secret needs, on ARM machines."""
    place = f"127.0.0.1:{registry.port}"
    auth = base64.b64encode(f"{registries.USER}:{password}".encode()).decode()
    document = base64.b64encode(json.dumps({"auths": {place: {"auth": auth}}}).encode()).decode()
    secret: Object = {
        "metadata": {"name": "pull", "namespace": "one"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": document},
    }
    pod = {"containers": [{"image": image}], "imagePullSecrets": [{"name": "pull"}] if password else []}
    web: Object = {"metadata": {"name": "web", "namespace": "one"}, "spec": {"template": {"spec": pod}}}
    objects: Sequence[tuple[Resource, Object]] = [(DEPLOYMENTS, web), (SECRETS, secret)]
    return resolve(wanted(objects), ["arm64"], mirrors.parse(file.encode()))[0]


def test_images_are_resolved_for_the_machines_architecture(registry: Registry) -> None:
    """An image that is there for the machines is resolved to what its tag means; one for others, or nowhere, is not."""
    digest = registry.push("tokens/web", "both", "amd64", "arm64")
    there = found(registry, registry.image("tokens/web:both"))
    assert (there.state, there.digest, there.is_problem) == (State.RESOLVED, digest, False)
    assert found(registry, registry.image(f"tokens/web@{digest}")).state is State.RESOLVED
    other = found(registry, registry.image("tokens/web:one"))
    assert (other.state, other.why) == (State.OTHER_ARCHITECTURE, "not for arm64; it is there for amd64")
    gone = found(registry, registry.image("tokens/web:gone"))
    assert (gone.state, gone.is_problem) == (State.NOT_FOUND, True)
    assert (there.stops, other.stops, gone.stops) == (False, True, True)


@pytest.mark.parametrize("password", ["", "wrong-pass-word"])
def test_who_may_not_have_an_image_is_told_so(registry: Registry, password: str) -> None:
    """Without a pull secret, or with a wrong one, the image is refused, and no password is in what is said."""
    refused = found(registry, registry.image("tokens/web:both"), password)
    assert (refused.state, refused.stops) == (State.DENIED, False)
    assert "pass-word" not in refused.why


def test_a_mirror_is_asked_with_what_the_nodes_file_says(registry: Registry) -> None:
    """Where the nodes ask a mirror, it is asked, under the rewritten name and as the file's user."""
    place = f"127.0.0.1:{registry.port}"
    login = f'{{auth: {{username: {registries.USER}, password: "{registries.PASSWORD}"}}}}'
    mirror = f'{{endpoint: ["http://{place}"], rewrite: {{"^library/(.*)": "tokens/$1"}}}}'
    file = f'{{mirrors: {{docker.io: {mirror}}}, configs: {{"{place}": {login}}}}}'
    assert found(registry, "web:both", password="", file=file).state is State.RESOLVED
