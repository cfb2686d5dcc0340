"""The kustomize tree: ``base``, the same for everybody, and an overlay for one configuration. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from drkit.cluster import indexed_job
from drkit.cronjobs import pods, rights
from drkit.cronjobs.jobs import BACK_UP_DATABASES, COMPONENTS, DRILLS, OF_VAULTS, VERIFY_DEEP, jobs, used_vaults
from drkit.cronjobs.settings import SETTINGS, settings
from drkit.manifests.emit import emit
from drkit.points import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.config.model import Config
    from drkit.cronjobs.jobs import Job

_MADE: Final = "# Made by `drkit cronjobs render`: change drkit.yaml and render again.\n"
_KUSTOMIZATION: Final = "kustomization.yaml"
_KUSTOMIZE: Final = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
_BOX_PORT: Final = 22
_TELLING_SECONDS: Final = 300


@dataclass(frozen=True)
class Secret:
    """A Secret that somebody has to make: its keys, and what each of them is."""

    namespace: str
    name: str
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Tree:
    """What was rendered.

    Attributes:
        files: text by path, below the tree's top.
        secrets: what has to be there before the jobs can run.
    """

    files: Mapping[str, str]
    secrets: tuple[Secret, ...]


def render(config: Config, overlay: str, sizes: Mapping[str, int], before: Mapping[str, int]) -> Tree:
    """The tree for a configuration.

    Args:
        config: what ``drkit.yaml`` says.
        overlay: the overlay's name.
        sizes: see ``drkit.cronjobs.jobs.jobs``.
        before: likewise.

    Raises:
        ConfigurationError: no job has a time, or a vault is where no pod reaches it.
    """
    found = jobs(config, sizes, before)
    files = _base()
    secrets = []
    places = []
    for job in found:
        place = f"{job.component}-{job.namespace}"
        places.append(place)
        documents, keys = settings(config, job)
        secret = Secret(job.namespace, job.name, keys)
        secrets.append(secret)
        of_job = _overlay_of_job(config, job, documents, secret)
        files |= {f"overlays/{overlay}/{place}/{name}": text for name, text in of_job.items()}
    files |= {f"overlays/{overlay}/{name}": text for name, text in _top(config, found, places).items()}
    return Tree(files, tuple(secrets))


def _base() -> dict[str, str]:
    found: dict[str, str] = {}
    for component in COMPONENTS:
        parts = {
            "cronjob.yaml": [pods.cron_job(component)],
            "network.yaml": [rights.network(component)],
            "rights.yaml": [rights.account(component), *rights.base_rights(component)],
            "storage.yaml": [pods.storage(component)],
        }
        kustomization = {**_KUSTOMIZE, "resources": sorted(parts)}
        found |= {f"base/{component}/{name}": _yaml(objects) for name, objects in parts.items()}
        found[f"base/{component}/{_KUSTOMIZATION}"] = _yaml([kustomization])
    return found


def _top(config: Config, found: Iterable[Job], places: list[str]) -> dict[str, str]:
    """What is in no job's own namespace: the namespaces' object, and rights elsewhere."""
    own = config.cronjobs.namespace
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": own, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    elsewhere: list[dict[str, Any]] = []
    for job in found:
        if job.component in BACK_UP_DATABASES | OF_VAULTS:
            continue
        read = {each.cnpg.partition("/")[0] for each in job.named_clusters}
        elsewhere += [each for name in sorted(read) for each in rights.database_rights(job.component, name, own)]
        if job.component == DRILLS:
            elsewhere += rights.lease_rights(job.component, own)
    parts = {"namespace.yaml": [namespace]} | ({"rights.yaml": elsewhere} if elsewhere else {})
    kustomization = {**_KUSTOMIZE, "resources": [*sorted(parts), *places]}
    return {name: _yaml(objects) for name, objects in parts.items()} | {_KUSTOMIZATION: _yaml([kustomization])}


def _overlay_of_job(config: Config, job: Job, documents: tuple[dict[str, Any], ...], secret: Secret) -> dict[str, str]:
    configs = [f"drkit-{index}.yaml" for index in range(len(documents))] if job.is_shared else ["drkit.yaml"]
    kustomization: dict[str, Any] = {
        **_KUSTOMIZE,
        "namespace": job.namespace,
        "resources": [f"../../../base/{job.component}"],
        "images": [{"name": pods.IMAGE, **_image(config.cronjobs.image)}],
        "configMapGenerator": [{"name": job.name, "files": configs}],
        "patches": [{"path": "patches.yaml"}],
    }
    patches = [_times(config, job, configs), _network(config, job), _storage(config, job)]
    if job.is_shared:
        kustomization["resources"] = [*kustomization["resources"], "shares.yaml"]
        if not job.uses_api:
            patches.append(rights.account(job.component) | {"automountServiceAccountToken": True})
    found = {name: _yaml([document]) for name, document in zip(configs, documents, strict=True)}
    found["patches.yaml"] = _yaml(patches)
    if job.is_shared:
        found["shares.yaml"] = _yaml(rights.share_rights(job.component))
    found[_KUSTOMIZATION] = _MADE + _of_secret(secret) + emit(kustomization)
    return found


def _image(reference: str) -> dict[str, str]:
    """As kustomize has it; a colon before the last slash is that of a registry's port."""
    name, _, digest = reference.partition("@")
    before, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        before, tag = name, ""
    return {"newName": before} | ({"digest": digest} if digest else {"newTag": tag or "latest"})


def _of_secret(secret: Secret) -> str:
    lines = [
        f"# The Secret {secret.name} is not rendered. From files with the names of its keys:",
        f"#   kubectl create secret generic {secret.name} -n {secret.namespace} --from-file=DIRECTORY",
        *(f"#   {key}: {what}" for key, what in sorted(secret.keys.items())),
    ]
    return "\n".join([*lines, ""])


def _times(config: Config, job: Job, configs: list[str]) -> dict[str, Any]:
    state = {
        "name": "BORG_HOST_ID",
        "value": f"drkit-{names.slug(config.cluster.name)}-{job.namespace}-{job.component}",
    }
    environment: list[dict[str, Any]] = [state]
    name = configs[0]
    # drkit itself ends what takes too long, and tells so; what is tried again after that has no time left.
    work: dict[str, Any] = {"activeDeadlineSeconds": round(job.limit) + _TELLING_SECONDS}
    if job.is_shared:
        work |= pods.indexed(len(job.databases))
        name = f"drkit-$({pods.INDEX}).yaml"
        field = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
        environment += [
            _field(pods.INDEX, field),
            {"name": "XDG_STATE_HOME", "value": f"{pods.STATE}/$({pods.INDEX})"},
            _field(indexed_job.NAMESPACE, "metadata.namespace"),
            _field(indexed_job.NAME, "metadata.labels['batch.kubernetes.io/job-name']"),
        ]
    arguments = ["schedule", "once", job.scheduled, "--config", f"{SETTINGS}/{name}"]
    container = {"name": pods.CONTAINER, "args": arguments, "env": environment}
    spec: dict[str, Any] = {"containers": [container]}
    if job.component == VERIFY_DEEP:
        spec["volumes"] = [{"name": "tmp", "emptyDir": {"sizeLimit": config.cronjobs.scratch}}]
    template = {"spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": job.name},
        "spec": {
            "schedule": job.times.cron,
            "timeZone": job.times.zone,
            "suspend": False,
            "jobTemplate": {"spec": {**work, "template": template}},
        },
    }


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _network(config: Config, job: Job) -> dict[str, Any]:
    used = used_vaults(config, job, (each for share in job.databases for each in share))
    ports = [urlsplit(vault.url).port or _BOX_PORT for name, vault in config.vaults.items() if name in used]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": job.name},
        "spec": {"egress": rights.egress(config, job, ports)},
    }


def _storage(config: Config, job: Job) -> dict[str, Any]:
    wanted = config.cronjobs
    spec: dict[str, Any] = {"resources": {"requests": {"storage": wanted.storage}}}
    if wanted.storage_class is not None:
        spec["storageClassName"] = wanted.storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": job.name}, "spec": spec}


def _yaml(objects: Iterable[Mapping[str, Any]]) -> str:
    return _MADE + "---\n".join(emit(each) for each in objects)


def overlay_name(wanted: str) -> str:
    """A name of a directory, out of whatever a cluster is called."""
    return names.slug(wanted)
