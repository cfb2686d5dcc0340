"""Rehearsals in a cluster that lives: what comes into them, and that they are removed when their time is over."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from drkit.clock import SystemClock, to_text
from drkit.cluster.api import connect
from drkit.config.model import Target
from drkit.cronjobs.pods import labels as own_labels
from drkit.errors import TargetNotEmpty
from drkit.restore import rebuild_plan
from drkit.restore.applying import Applying
from drkit.restore.engine import journal
from drkit.restore.engine.action import Call
from drkit.restore.engine.plan import Plan, Step
from drkit.restore.machines import Machines
from drkit.restore.quarantine import EXPIRES, RESTORE, labels
from drkit.restore.rebuild import Means
from drkit.restore.rehearsal import make_namespaces, reap_namespaces
from drkit.restore.sealed_objects import MANIFESTS, SealedObjects
from drkit.restore.wanted import PARTS
from tests.contract.api_server import CONFIG_MAPS, NAMESPACES, MemoryApi, memory_api, resource
from tests.contract.cluster_site import ClusterSite, cluster_site
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Resource
    from drkit.restore.new_cluster import NewCluster

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A cluster with two namespaces of its own."""
    with memory_api() as made:
        for name in ("default", "docfast"):
            made.add(NAMESPACES, {"metadata": {"name": name, "uid": f"uid-{name}"}})
        yield made


def names(memory: MemoryApi) -> set[str]:
    """The namespaces that are there."""
    return {each["metadata"]["name"] for each in memory.objects[NAMESPACES.path]}


def test_what_has_outlived_its_time_goes_and_nothing_else(memory: MemoryApi) -> None:
    """Of two rehearsals the one that is over goes with its namespaces; those of the cluster itself stay."""
    api = connect(memory.access)
    make_namespaces(api, ["a-copy", "b-copy"], labels("first", NOW))
    make_namespaces(api, ["c-copy"], labels("second", NOW + timedelta(hours=1)))
    assert list(reap_namespaces(api, NOW - timedelta(seconds=1))) == []
    assert {each.name for each in reap_namespaces(api, NOW)} == {"a-copy", "b-copy"}
    assert list(reap_namespaces(api, NOW)) == []
    assert names(memory) == {"default", "docfast", "c-copy"}


def test_a_rehearsal_goes_on_with_its_own_namespaces(memory: MemoryApi) -> None:
    """Begun again, it finds what it made before."""
    api = connect(memory.access)
    for _ in range(2):
        make_namespaces(api, ["a-copy"], labels("first", NOW))
    assert names(memory) == {"default", "docfast", "a-copy"}


@pytest.mark.parametrize("taken", ["docfast", "a-copy"])
def test_a_namespace_of_others_is_not_taken(memory: MemoryApi, taken: str) -> None:
    """Neither one that lives nor another rehearsal's gets a label by which it would be removed."""
    api = connect(memory.access)
    make_namespaces(api, ["a-copy"], labels("first", NOW))
    before = memory.objects[NAMESPACES.path]
    with pytest.raises(TargetNotEmpty, match=taken):
        make_namespaces(api, [taken], labels("second", NOW))
    assert memory.objects[NAMESPACES.path] == before


SECRETS = resource("secrets", "Secret")
CRON_JOBS = resource("cronjobs", "CronJob", "batch")
ISSUERS = resource("issuers", "Issuer", "cert-manager.io")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterSite]:
    """A cluster with an application, and with what a copy of it must not have."""
    mounted = {"volumes": [{"name": "a", "secret": {"secretName": "vault-key"}}], "containers": []}
    job = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": mounted}}}}
    with cluster_site(tmp_path, monkeypatch) as made:
        made.config = made.config.model_copy(update={"clusters": {"here": Target()}})
        made.api.resources = [NAMESPACES, CONFIG_MAPS, SECRETS, CRON_JOBS, ISSUERS]
        made.api.add(NAMESPACES, {"metadata": {"name": "docfast", "uid": "1"}})
        made.api.add(CONFIG_MAPS, {"metadata": {"name": "settings", "namespace": "docfast"}, "data": {"a": "b"}})
        for name in ("vault-key", "of-the-application"):
            made.api.add(SECRETS, {"metadata": {"name": name, "namespace": "docfast"}, "data": {}})
        marked = {"name": "drkit-databases", "namespace": "docfast", "labels": own_labels("databases")}
        made.api.add(CRON_JOBS, {"metadata": marked, "spec": job})
        made.api.add(ISSUERS, {"metadata": {"name": "letsencrypt", "namespace": "docfast"}, "spec": {"acme": {}}})
        yield made


class _Here:
    """The way to the cluster."""

    def __init__(self, api: MemoryApi) -> None:
        self._api = connect(api.access)

    def api(self, _: Call) -> HttpApi:
        """It."""
        return self._api


def rehearse(site: ClusterSite, over: datetime, part: str = "docfast") -> str:
    """Apply a part of the namespace ``docfast`` as ``docfast-copy``, as the plan's step does; the restore's id."""
    details = {"parts": [part], "namespaces": {"docfast": "docfast-copy"}, "expires": to_text(over)}
    step = Step("objects apply", rebuild_plan.APPLY, "apply", (), details)
    sources = {each.name: each for each in site.backup().sources}
    plan, clock = Plan("here", (step,), (), (), PARTS), SystemClock()
    begun = journal.begin("here", "20260301t120000z-abc123", plan.as_json())
    attempt = journal.Attempt(begun, clock, 1, clock.now(), clock.monotonic())
    means = Means(plan, site.config, {"cluster": site.vault}, sources, {}, False, clock, Heard())  # noqa: FBT003 - it is
    with ExitStack() as stack, Machines(plan, site.config) as machines:
        sealed = SealedObjects(means.vaults, {MANIFESTS: sources[MANIFESTS]}, details, stack)
        actions = Applying(means, machines, sealed, cast("NewCluster", _Here(site.api))).actions()
        with Heard().task("apply") as task:
            actions[rebuild_plan.APPLY].run(Call(step, attempt, begun_before=False, results={}, task=task))
    return begun.restore


def there(site: ClusterSite, kind: Resource, namespace: str) -> dict[str, Any]:
    """The objects of a kind in a namespace, by name."""
    found = site.api.objects.get(kind.path, [])
    return {each["metadata"]["name"]: each for each in found if each["metadata"].get("namespace") == namespace}


def test_a_namespace_is_rehearsed_beside_the_one_that_lives(site: ClusterSite) -> None:
    """The copy has the application's objects, no key of the vault, no issuer, a job that sleeps; and it goes again."""
    lives = {kind.path: there(site, kind, "docfast") for kind in (CONFIG_MAPS, SECRETS, CRON_JOBS, ISSUERS)}
    restore = rehearse(site, NOW)
    assert set(there(site, CONFIG_MAPS, "docfast-copy")) == {"settings"}
    assert set(there(site, SECRETS, "docfast-copy")) == {"of-the-application"}
    assert there(site, ISSUERS, "docfast-copy") == {}
    assert there(site, CRON_JOBS, "docfast-copy")["drkit-databases"]["spec"]["suspend"] is True
    assert {kind.path: there(site, kind, "docfast") for kind in (CONFIG_MAPS, SECRETS, CRON_JOBS, ISSUERS)} == lives
    (copied,) = [each for each in site.api.objects[NAMESPACES.path] if each["metadata"]["name"] == "docfast-copy"]
    assert copied["metadata"]["labels"][RESTORE] == restore
    assert copied["metadata"]["labels"][EXPIRES] == f"{NOW.timestamp():.0f}"
    assert [each.name for each in reap_namespaces(connect(site.api.access), NOW)] == ["docfast-copy"]
    assert names(site.api) == {"docfast"}


def test_the_vaults_key_stays_out_where_secrets_alone_are_wished(site: ClusterSite) -> None:
    """Which Secrets they are is told by jobs that nobody asked for."""
    rehearse(site, NOW, "docfast/Secret")
    assert set(there(site, SECRETS, "docfast-copy")) == {"of-the-application"}
    assert there(site, CRON_JOBS, "docfast-copy") == {}
