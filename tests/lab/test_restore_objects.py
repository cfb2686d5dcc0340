"""A sealed export put into a fresh cluster's API: real API servers, whose objects nobody runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from drkit.lab.recipes import POSTGRES
from drkit.lab.spec import LabSpec
from drkit.lab.topology import topology
from drkit.lab.workload import images as workload_images
from drkit.lab.workload import manifests
from drkit.restore.objects import parts, rename
from drkit.restore.objects.apply import apply
from drkit.restore.objects.gather import gather
from drkit.restore.objects.prove import prove
from tests.lab import every_kind
from tests.lab.planes import Plane, plane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.cluster.kube import Object
    from drkit.restore.objects.gather import Gathered
    from tests.exported import Exported

# Building their program needs what the lab needs.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("control-plane")]

PREFIX = "old"


@pytest.fixture(scope="module")
def sealed() -> Iterator[Exported]:
    """The export of a cluster with an object of every built-in kind."""
    with plane() as old:
        definition = every_kind.definition(PREFIX)
        old.make([definition])
        old.kubectl("wait", "--for=condition=Established", f"crd/{definition['metadata']['name']}")
        old.make(every_kind.objects(PREFIX, f"{PREFIX}-in"))
        yield old.export()


@pytest.fixture
def new() -> Iterator[Plane]:
    """A fresh cluster."""
    with plane() as made:
        yield made


@contextmanager
def gathered(exported: Exported) -> Iterator[Gathered]:
    """Its objects as a restore has them."""
    with gather(exported.wished) as found:
        yield found


def files(exported: Exported) -> dict[str, bytes]:
    """The objects that a restore applies."""
    return {path: content for path, content in exported.files.items() if path.startswith("objects/")}


def test_a_fresh_cluster_becomes_the_old_one(sealed: Exported, new: Plane) -> None:
    """Export, apply to a fresh cluster, export: every file is equal; a second run finds all there."""
    with gathered(sealed) as objects:
        first = apply(new.api, objects)
        assert first.applied > 50
        assert first.replaced == ()
        again = new.export()
        assert sorted(files(again)) == sorted(files(sealed))
        different = [path for path, content in files(sealed).items() if files(again)[path] != content]
        assert different == []
        second = apply(new.api, objects)
        proof = prove(new.api, objects, sealed.details)
    assert proof.equal
    assert [kind for kind in proof.kinds if kind.extra or kind.kept or kind.found != kind.sealed] == []
    assert sum(kind.sealed for kind in proof.kinds) == len(files(sealed))
    assert second.applied == 0
    assert second.equal == len(files(sealed))


@pytest.mark.parametrize("after", [3, 60, 150])
def test_a_run_that_was_killed_is_finished_by_the_next(
    sealed: Exported, new: Plane, tmp_path: Path, after: int
) -> None:
    """Killed with -9 after so many objects and run again, it ends as one that nobody disturbed."""
    (tmp_path / "archive").write_bytes(sealed.archive)
    (tmp_path / "details.json").write_text(json.dumps(sealed.details))
    argv = [sys.executable, "-m", "tests.lab.apply_once", str(new.running.kubeconfig), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == after:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    with gathered(sealed) as objects:
        apply(new.api, objects)
    assert files(new.export()) == files(sealed)


def test_an_api_server_that_crashes_is_waited_for(sealed: Exported, new: Plane) -> None:
    """The API server dies in the middle and comes back: the run goes on where it was, and nothing is lacking."""
    died = threading.Event()

    def crash(done: int, _: int) -> None:
        if done == 100:
            new.running.stop_api()
            died.set()

    def come_back() -> None:
        died.wait()
        new.running.start_api()

    with gathered(sealed) as objects:
        thread = threading.Thread(target=come_back)
        thread.start()
        try:
            apply(new.api, objects, progress=crash)
        finally:
            died.set()
            thread.join()
    assert files(new.export()) == files(sealed)


def test_the_sample_workload_comes_back(new: Plane) -> None:
    """The sample workload with its operator, passwords, definitions and webhooks is in a fresh cluster what it was."""
    images = dict.fromkeys((POSTGRES, workload_images.CNPG, workload_images.INGRESS, workload_images.APP), "lab/a:17")
    lab = topology(LabSpec("x", 1, 2), IPv4Network("10.211.7.0/24"))
    with plane() as old:
        for text in (manifests.definitions(), manifests.objects(lab, images, "token"), manifests.operator(images)):
            old.kubectl("apply", "--server-side", "-f", "-", stdin=text)
            old.kubectl("wait", "--for=condition=Established", "crd", "--all")
        sample = old.export()
    assert {obj["kind"] for _, obj in sample.wished} >= {
        "Cluster",
        "Pooler",
        "Secret",
        "Deployment",
        "Ingress",
        "Template",
    }
    with gathered(sample) as objects:
        apply(new.api, objects)
        assert prove(new.api, objects, sample.details).equal
    assert files(new.export()) == files(sample)


def test_what_is_not_as_it_was_sealed_is_named(sealed: Exported, new: Plane) -> None:
    """The proof names each object that is missing, different with its fields, left to the cluster, or not sealed."""
    with gathered(sealed) as objects:
        apply(new.api, objects)
        space = f"{PREFIX}-in"
        new.kubectl("delete", "-n", space, "configmap/configmap", "ingress/ingress")
        new.kubectl("patch", "-n", space, "secret/secret", "-p", '{"data": {"password": "b3RoZXI="}}')
        new.kubectl("create", "configmap", "-n", space, "more")
        new.kubectl("label", "clusterrole", "view", "more=yes")
        proof = prove(new.api, objects, sealed.details)
        of_one = {kind.kind: kind for kind in proof.kinds}

        def without(obj: Object) -> Object | None:
            return None if obj["kind"] in {"ConfigMap", "Ingress", "Secret"} else obj

        left_out = prove(new.api, objects, sealed.details, without)
    assert not proof.complete
    assert of_one["core/configmaps"].missing == (f"{space}/configmap",)
    assert of_one["core/configmaps"].extra == (f"{space}/more",)
    assert of_one["networking.k8s.io/ingresses"].missing == (f"{space}/ingress",)
    changes = [
        (each.name, field.path, field.after) for each in of_one["core/secrets"].different for field in each.fields
    ]
    assert changes == [("secret", "data.password", "(secret)")]
    assert of_one["rbac.authorization.k8s.io/clusterroles"].kept == ("view",)
    assert sum(len(kind.missing) + len(kind.different) for kind in proof.kinds) == 3
    assert left_out.equal
    assert {kind.kind: kind.left_out for kind in left_out.kinds}["networking.k8s.io/ingresses"] == 1


def test_a_namespace_comes_back_under_another_name(sealed: Exported, new: Plane) -> None:
    """A namespace and the definition that it needs are a part; under its new name all of it is there and equal."""
    definition = every_kind.definition(PREFIX)["metadata"]["name"]
    only = [parts.parse(f"manifests/{PREFIX}-in"), parts.parse(f"manifests/-/CustomResourceDefinition/{definition}")]
    chosen = rename.renamed(parts.select(sealed.wished, only), {f"{PREFIX}-in": "copy"})
    with gather(chosen) as objects:
        done = apply(new.api, objects)
        assert prove(new.api, objects).equal
    there = new.export()
    copied = [path for path in files(there) if "/namespaces/copy/" in path]
    assert len(copied) == len([path for path in files(sealed) if f"/namespaces/{PREFIX}-in/" in path])
    assert not [path for path in files(there) if f"/namespaces/{PREFIX}-in/" in path]
    # The namespace and the definition, without what is in every namespace; nothing else of the whole cluster.
    assert done.applied + done.equal == len(copied) + 2
