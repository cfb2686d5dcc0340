"""What of a cluster's objects comes into a rehearsal of it, and when a rehearsal's namespaces are over."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ruamel.yaml import YAML

from drkit.cronjobs.pods import labels as own_labels
from drkit.restore import holds
from drkit.restore.applying import Held, Labelled
from drkit.restore.quarantine import EXPIRES, RESTORE, Quarantine, backup_secrets, expiry, labels, outlived

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADMIT = Quarantine()


def obj(api_version: str, kind: str, spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """An object of the namespace ``docfast``."""
    made = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "it", "namespace": "docfast", **metadata}}
    return made if spec is None else {**made, "spec": spec}


CRON_JOB = obj("batch/v1", "CronJob", {"schedule": "0 3 * * *", "jobTemplate": {}})


def test_no_cron_job_runs() -> None:
    """A CronJob comes suspended, and is so still after all that was held is given back."""
    assert ADMIT(CRON_JOB) == obj("batch/v1", "CronJob", {**CRON_JOB["spec"], "suspend": True})
    held = Held(frozenset({holds.identity(CRON_JOB)}), ADMIT)(CRON_JOB)
    assert held is not None
    assert holds.release(held)["spec"]["suspend"] is True


@pytest.mark.parametrize(
    "stays_out",
    [
        obj("cert-manager.io/v1", "ClusterIssuer", {"acme": {"server": "https://acme-v02.api.letsencrypt.org/"}}),
        obj("cert-manager.io/v1", "Issuer", {"acme": {}}),
        obj("acme.cert-manager.io/v1", "Order", {}),
        obj("acme.cert-manager.io/v1", "Challenge", {}),
        obj("postgresql.cnpg.io/v1", "ScheduledBackup", {"schedule": "0 0 0 * * *"}),
        obj("postgresql.cnpg.io/v1", "Backup", {}),
        obj("helm.cattle.io/v1", "HelmChartConfig", {"valuesContent": "a: [unclosed"}),
    ],
    ids=lambda each: each["kind"],
)
def test_what_speaks_for_the_living_cluster_stays_out(stays_out: dict[str, Any]) -> None:
    """Nothing asks an ACME server, and nothing writes backups; a chart whose values cannot be read might."""
    assert ADMIT(stays_out) is None


@pytest.mark.parametrize(
    "comes",
    [
        obj("cert-manager.io/v1", "ClusterIssuer", {"selfSigned": {}}),
        obj("cert-manager.io/v1", "Certificate", {"issuerRef": {"name": "letsencrypt"}}),
        obj("v1", "Secret"),
        obj("v1", "ConfigMap"),
        obj("apps/v1", "Deployment", {"template": {"spec": {"containers": [{"name": "a", "args": ["--port=80"]}]}}}),
        obj("helm.cattle.io/v1", "HelmChartConfig", {"valuesContent": "service:\n  type: LoadBalancer # kept\n"}),
        obj("postgresql.cnpg.io/v1", "Cluster", {"instances": 2}),
    ],
    ids=lambda each: each["kind"],
)
def test_all_else_comes_as_it_was(comes: dict[str, Any]) -> None:
    """What does none of that is the same in a rehearsal; and nothing that was sealed is changed in place."""
    before = copy.deepcopy(comes)
    assert ADMIT(comes) == before
    assert comes == before


def test_a_postgresql_cluster_archives_nowhere() -> None:
    """The rehearsal's write-ahead log does not get among that of the living cluster."""
    plugin = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}
    spec = {"instances": 2, "backup": {"barmanObjectStore": {}}, "plugins": [plugin]}
    assert ADMIT(obj("postgresql.cnpg.io/v1", "Cluster", spec)) == obj(
        "postgresql.cnpg.io/v1", "Cluster", {"instances": 2}
    )


def test_traefik_has_no_certificate_resolver() -> None:
    """Neither by its arguments nor by its chart's values, however they are spelt."""
    resolvers = ["--certificatesresolvers.le.acme.email=a@b", "--certificatesResolvers.x"]
    arguments = ["--entrypoints.web.address=:80", *resolvers]
    pods = {"template": {"spec": {"containers": [{"name": "traefik", "args": arguments}]}}}
    admitted = ADMIT(obj("apps/v1", "DaemonSet", pods))
    assert admitted is not None
    assert admitted["spec"]["template"]["spec"]["containers"][0]["args"] == arguments[:1]
    values = (
        "certificatesResolvers: {le: {acme: {email: a@b}}}\ncertResolvers: {}\n"
        "additionalArguments: ['--certificatesresolvers.le.acme.email=a@b', '--log.level=INFO']\nreplicas: 2\n"
    )
    given = {"set": {"certificatesResolvers.le.acme.email": "a@b", "replicas": 2}, "valuesContent": values}
    admitted = ADMIT(obj("helm.cattle.io/v1", "HelmChart", given))
    assert admitted is not None
    assert admitted["spec"]["set"] == {"replicas": 2}
    assert YAML(typ="safe").load(admitted["spec"]["valuesContent"]) == {
        "additionalArguments": ["--log.level=INFO"],
        "replicas": 2,
    }


def test_the_vaults_keys_stay_out() -> None:
    """Secrets that drkit's own jobs use stay out, however they use them; those of others come."""
    volumes = [
        {"name": "a", "secret": {"secretName": "mounted"}},
        {"name": "b", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
    ]
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "key", "key": "a"}}}]
    container = {"name": "drkit", "env": env, "envFrom": [{"secretRef": {"name": "all-of-it"}}]}
    spec = {"jobTemplate": {"spec": {"template": {"spec": {"volumes": volumes, "containers": [container]}}}}}
    drkits = obj("batch/v1", "CronJob", spec, labels=own_labels("databases"))
    others = obj("batch/v1", "CronJob", {"jobTemplate": {"spec": {"secretName": "theirs"}}})
    found = backup_secrets([drkits, others])
    assert found == {("docfast", name) for name in ("mounted", "projected", "key", "all-of-it")}
    admit = Quarantine(found)
    assert admit(obj("v1", "Secret", name="mounted")) is None
    assert admit(obj("v1", "Secret", name="theirs")) is not None
    assert admit(obj("v1", "Secret", name="mounted", namespace="elsewhere")) is not None


def test_a_namespace_says_whose_it_is_and_when_it_is_over() -> None:
    """The label of a namespace's name and others stay beside it."""
    marks = labels("restore-1", NOW)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "copy", "labels": {"team": "a"}}}
    labelled = Labelled(marks, ADMIT)(namespace)
    assert labelled is not None
    assert labelled["metadata"]["labels"] == {"team": "a", RESTORE: "restore-1", EXPIRES: "1772366400"}
    assert Labelled(marks, ADMIT)(obj("v1", "ConfigMap")) == obj("v1", "ConfigMap")


def test_only_what_has_outlived_its_time_is_over() -> None:
    """At its time and after, never before; what another hand has labelled, or is going already, is left alone."""
    ages = {"over": -1, "now": 0, "not-yet": 1}
    there = [
        {"metadata": {"name": name, "labels": labels("r", NOW + timedelta(seconds=age))}} for name, age in ages.items()
    ]
    strange: list[dict[str, str]] = [{}, {EXPIRES: "0"}, {RESTORE: "r"}, {RESTORE: "r", EXPIRES: "-1"}]
    strange += [{RESTORE: "r", EXPIRES: each} for each in ("", "soon", "²", "1e3")]
    there += [{"metadata": {"name": "strange", "labels": each}} for each in strange]
    there += [{"metadata": {"name": "bare"}}]
    there += [{"metadata": {"name": "going", "labels": labels("r", NOW), "deletionTimestamp": "2026-03-01T12:00:00Z"}}]
    assert [each["metadata"]["name"] for each in outlived(there, NOW)] == ["over", "now"]


def test_a_step_says_whether_it_is_of_a_rehearsal() -> None:
    """Without the time of its end it is none."""
    assert expiry({"expires": "2026-03-01T12:00:00Z"}) == NOW
    assert expiry({}) is None
