"""What a rebuild does through the API of a fresh cluster: objects held, patched, given back and compared.

On real API servers that have no nodes; all of it with nodes is in ``test_rebuild``.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import resources
from threading import Timer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from drkit.clock import SystemClock
from drkit.cluster.local import LocalNode
from drkit.config.model import Config
from drkit.config.patches import ObjectPatch
from drkit.errors import ConfigurationError, RestoreFailed, TargetNotEmpty, VerificationFailed
from drkit.observe.progress import PlainReporter
from drkit.points.descriptor import OK, SourceEntry
from drkit.restore import holds
from drkit.restore.applying import Applying
from drkit.restore.engine.action import Call
from drkit.restore.engine.plan import Plan, Step
from drkit.restore.new_cluster import NewCluster, Way
from drkit.restore.patches import apply_patches
from drkit.restore.rebuild import Means
from drkit.restore.sealed_objects import SealedObjects
from drkit.restore.waking import Waking
from tests.lab import every_kind
from tests.lab.planes import Plane, plane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object
    from drkit.restore.engine.action import Action
    from drkit.restore.machines import Machines
    from drkit.restore.node_setups import NodeSetups
    from drkit.vault.port import Vault
    from tests.exported import Exported

# Building their program needs what the lab needs.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("control-plane")]

RESTORE = "20260301t120000z-abc123"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
CRON = "/apis/batch/v1/namespaces/shop/cronjobs/nightly"
CLUSTERS = "/apis/postgresql.cnpg.io/v1/clusters"
POOLERS = "/apis/postgresql.cnpg.io/v1/poolers"


def deployment(name: str, replicas: int, url: str = "") -> Object:
    """One whose pods are told this address of a database."""
    labels = {"app": name}
    env = [{"name": "DATABASE_URL", "value": url}] if url else []
    spec = {"containers": [{"name": "app", "image": "example.com/app:1", "env": env}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def objects() -> list[Object]:
    """An application that uses a database, one that does not, a CronJob, and a database's cluster with a pooler."""
    job = {"restartPolicy": "Never", "containers": [{"name": "job", "image": "example.com/job:1"}]}
    cron = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": job}}}}
    in_shop = {"namespace": "shop"}
    pooler = {"cluster": {"name": "db"}, "instances": 1, "type": "rw", "pgbouncer": {"poolMode": "session"}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        deployment("web", 3, "postgres://app@db-rw/app"),
        deployment("static", 2),
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", **in_shop}, "spec": cron},
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "db", **in_shop},
            "spec": {"instances": 1, "imageName": "example.com/postgresql:17", "storage": {"size": "1Gi"}},
        },
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Pooler",
            "metadata": {"name": "db-pooler", **in_shop},
            "spec": pooler,
        },
    ]


@pytest.fixture(scope="module")
def sealed() -> Iterator[Exported]:
    """The export of a cluster with these."""
    with plane() as old:
        definitions = (resources.files("drkit.lab.cnpg") / "crds.yaml").read_text(encoding="utf-8")
        old.kubectl("apply", "--server-side", "-f", "-", stdin=definitions)
        for each in ("clusters", "poolers"):
            old.kubectl("wait", "--for=condition=Established", f"crd/{each}.postgresql.cnpg.io")
        old.make(objects())
        yield old.export()


@pytest.fixture
def new() -> Iterator[Plane]:
    """A fresh cluster."""
    with plane() as made:
        yield made


@dataclass
class Told:
    """What an action told, in place of a journal."""

    records: list[dict[str, Any]]

    @property
    def journal(self) -> Any:
        """Whose restore it is."""
        return SimpleNamespace(restore=RESTORE)

    def write(self, **record: Any) -> None:
        """Keep a record."""
        self.records.append(record)

    def texts(self, kind: str) -> list[str]:
        """What was told of a kind."""
        return [each["value"] for each in self.records if each["told"] == kind]


@dataclass
class Work:
    """The actions on a cluster, called one by one."""

    actions: dict[str, Action]
    told: Told

    def run(self, action: str, **details: Any) -> dict[str, Any]:
        """Call one."""
        with PlainReporter().task(action) as task:
            step = Step(action, action, "", details=details)
            call = Call(step, cast("Any", self.told), begun_before=False, results={}, task=task)
            return dict(self.actions[action].run(call) or {})


@dataclass(frozen=True)
class Kept:
    """A vault as far as a restore reads it."""

    content: bytes

    @contextmanager
    def open(self, _: str) -> Iterator[io.BytesIO]:
        """The archive."""
        yield io.BytesIO(self.content)


@contextmanager
def work(exported: Exported, there: Plane, **details: Any) -> Iterator[Work]:
    """The actions of mode manifests on a cluster, for an export out of a vault."""
    digest, size = hashlib.sha256(exported.archive).hexdigest(), len(exported.archive)
    entry = SourceEntry("manifests", "manifests", "cluster", OK, "one", size=size, sha256=digest)
    entry.details.update(exported.details)
    config = Config.model_validate({"vaults": {"cluster": {"url": "x", "passphrase": {"env": "X"}}}})
    plan = Plan("new", (), (), mode="manifests")
    vaults: dict[str, Vault] = {"cluster": cast("Vault", Kept(exported.archive))}
    sources = {"manifests": entry}
    means = Means(plan, config, vaults, sources, {}, old_is_dead=True, clock=SystemClock(), reporter=PlainReporter())
    machines = cast("Machines", SimpleNamespace(steps={}))
    api = cast("NewCluster", SimpleNamespace(api=lambda _: there.api))
    with ExitStack() as stack:
        sealed = SealedObjects(vaults, sources, details, stack)
        waking = Waking(means, machines, cast("NodeSetups", None), api)
        yield Work({**waking.actions(), **Applying(means, machines, sealed, api).actions()}, Told([]))


def replicas(there: Plane, namespace: str = "shop") -> dict[str, int]:
    """What is wished of each Deployment."""
    listed = there.objects(DEPLOYMENTS.replace("shop", namespace))
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in listed}


def test_what_uses_a_database_sleeps_until_it_is_released(sealed: Exported, new: Plane) -> None:
    """Applied, the application has no pods and the CronJob does not run; released, all is as it was sealed."""
    with work(sealed, new) as doing:
        first = doing.run("apply")
        assert replicas(new) == {"web": 0, "static": 2}
        assert new.api.get(CRON)["spec"]["suspend"] is True
        assert new.objects(CLUSTERS) == new.objects(POOLERS) == []
        assert first["left_out"] == 2
        assert new.api.get("/api/v1/namespaces/kube-system/configmaps/drkit-restore")["data"] == {"restore": RESTORE}
        assert doing.run("apply")["applied"] == 0
        # As the step of its cluster does.
        new.make([holds.hold(each) for each in objects() if each["kind"] == "Pooler"])
        assert [each["spec"]["instances"] for each in new.objects(POOLERS)] == [0]
        released = ["CronJob shop/nightly", "Deployment shop/web", "Pooler shop/db-pooler"]
        assert sorted(doing.run("release")["released"]) == released
        assert [each["spec"]["instances"] for each in new.objects(POOLERS)] == [1]
        assert replicas(new) == {"web": 3, "static": 2}
        assert doing.run("release")["released"] == []
        compared = doing.run("objects")
        assert compared["objects"]["apps/deployments"] == 2
        assert doing.told.texts("warning") == []


def test_what_is_missing_is_named(sealed: Exported, new: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that was sealed and is not there ends the restore with its name; one that differs is told of."""
    monkeypatch.setattr("drkit.restore.applying._COMPLETE_SECONDS", 0.0)
    with work(sealed, new) as doing:
        doing.run("apply")
        doing.run("release")
        with pytest.raises(VerificationFailed, match=r"postgresql\.cnpg\.io/poolers shop/db-pooler"):
            doing.run("objects")
        new.make([each for each in objects() if each["kind"] == "Pooler"])
        new.kubectl("scale", "deployment", "static", "-n", "shop", "--replicas=5")
        doing.run("objects")
        assert doing.told.texts("warning") == ["not as they were sealed: apps/deployments shop/static"]


def operator() -> list[Object]:
    """What looks after custom resources in the whole cluster, by its rights."""
    definition, rights = every_kind.definition("late"), "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [definition["spec"]["group"]], "resources": ["*"], "verbs": ["*"]}]
    who = [{"kind": "ServiceAccount", "name": "default", "namespace": "shop"}]
    role = {"apiGroup": rights, "kind": "ClusterRole", "name": "late"}
    late = {"apiVersion": f"{rights}/v1", "metadata": {"name": "late"}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        definition,
        {**late, "kind": "ClusterRole", "rules": rules},
        {**late, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": who},
        deployment("operator", 1),
    ]


def test_operators_are_waited_for_and_named(new: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that was sealed is given time to run; one that does not is named with its own words for it."""
    with plane() as old:
        old.make(operator())
        exported = old.export()
    monkeypatch.setattr("drkit.restore.applying._OPERATORS_SECONDS", 2.0)
    with work(exported, new) as doing:
        doing.run("apply")
        doing.run("release")
        assert doing.run("objects")["operators"] == []
        (said,) = doing.told.texts("warning")
        assert said.startswith("Deployment shop/operator: an operator that is not ready: 0 of 1 pods are ready: ")
        assert said.endswith(", after 2 s of waiting")
        monkeypatch.setattr("drkit.restore.applying._OPERATORS_SECONDS", 60.0)
        # Without nodes this is how it comes to have all the pods that are wished.
        scaled = Timer(2.0, new.kubectl, ("scale", "deployment", "operator", "-n", "shop", "--replicas=0"))
        scaled.start()
        assert doing.run("objects")["operators"] == ["Deployment shop/operator"]
        scaled.join()


def test_a_cluster_of_another_restore_is_left_alone(sealed: Exported, new: Plane) -> None:
    """Objects are not applied to a cluster that says it is of another restore."""
    record = {"metadata": {"name": "drkit-restore", "namespace": "kube-system"}, "data": {"restore": "another"}}
    new.make([{"apiVersion": "v1", "kind": "ConfigMap", **record}])
    with work(sealed, new) as doing, pytest.raises(TargetNotEmpty, match="of the restore another"):
        doing.run("apply")
    assert "shop" not in {each["metadata"]["name"] for each in new.objects("/api/v1/namespaces")}


def test_a_namespace_comes_back_under_another_name(sealed: Exported, new: Plane) -> None:
    """All of it is applied and compared under the new name."""
    with work(sealed, new, namespaces={"shop": "store"}) as doing:
        doing.run("apply")
        assert replicas(new, "store") == {"web": 0, "static": 2}
        assert "shop" not in {each["metadata"]["name"] for each in new.objects("/api/v1/namespaces")}
        doing.run("release")
        assert replicas(new, "store") == {"web": 3, "static": 2}


def test_declared_patches_are_merged(sealed: Exported, new: Plane) -> None:
    """A patch changes its fields alone, twice as once; one for nothing that is there is refused by its number."""
    with work(sealed, new) as doing:
        doing.run("apply")
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": "static"},
        "spec": {"replicas": 7},
    }
    declared = ObjectPatch.model_validate(patch)
    for _ in range(2):
        assert apply_patches(new.api, [declared]) == ["Deployment shop/static"]
    assert replicas(new)["static"] == 7
    assert new.api.get(f"{DEPLOYMENTS}/static")["spec"]["template"]["spec"]["containers"][0]["image"]
    absent = ObjectPatch.model_validate({**patch, "metadata": {"namespace": "shop", "name": "absent"}})
    with pytest.raises(RestoreFailed, match=r"patches\[1\]: Deployment shop/absent: it is not there"):
        apply_patches(new.api, [declared, absent])
    with pytest.raises(ConfigurationError, match=r"patches\[0\]"):
        apply_patches(new.api, [ObjectPatch.model_validate({**patch, "kind": "Unheard"})])


def test_a_closed_api_is_reached_through_its_server(new: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its port does not answer at the server's address, the API is asked through the server itself."""
    monkeypatch.setattr("drkit.restore.new_cluster.API_PORT", int(new.running.access.server.rpartition(":")[2]))
    node = LocalNode("server-1")
    with ExitStack() as stack:
        way = Way(node, "127.0.0.2", str(new.running.kubeconfig))  # nothing listens there
        closed = NewCluster(lambda _: way, stack)
        assert closed.api(cast("Any", None)).get("/api/v1/namespaces/kube-system")["metadata"]["name"] == "kube-system"
        assert closed.api(cast("Any", None)) is closed.api(cast("Any", None))
