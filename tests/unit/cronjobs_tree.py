"""The committed tree of CronJobs, its objects as kustomize would patch them, and configurations to render others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from drkit.config.model import Config
from drkit.cronjobs.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "cronjobs"
OVERLAYS = ("lab", "reference")


def config(**more: Any) -> Config:
    """A small configuration with both vaults."""
    vault = {"passphrase": {"file": "/root/keys/passphrase"}, "ssh": {"key": "/root/.ssh/box"}}
    vaults = {
        "cluster": {"url": "ssh://u1@box.example:23/./c", "schedule": "0 3 * * *", **vault},
        "databases": {"url": "ssh://u1@box.example:23/./d", "schedule": "0 */6 * * *", **vault},
    }
    return Config.model_validate({"vaults": vaults, "databases": [{"cnpg": "postgres/main-db"}], **more})


def documents(text: str) -> list[dict[str, Any]]:
    """The documents of a file."""
    return [each for each in yaml.safe_load_all(text) if each]


def objects(tree: Tree | Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a tree's overlay with the place that it is in, base and patches put together."""
    files = tree.files if isinstance(tree, Tree) else tree
    for path, text in sorted(files.items()):
        if not path.startswith("overlays/") or not path.endswith("kustomization.yaml"):
            continue
        place = path.removesuffix("kustomization.yaml")
        [kustomization] = documents(text)
        patches = [each for name in kustomization.get("patches", ()) for each in documents(files[place + name["path"]])]
        for resource in kustomization["resources"]:
            if resource.endswith(".yaml"):
                found = documents(files[place + resource])
            elif resource.startswith("../"):
                base = f"base/{resource.rpartition('/')[2]}/"
                named = documents(files[f"{base}kustomization.yaml"])[0]["resources"]
                found = [each for name in named for each in documents(files[base + name])]
            else:
                continue
            for each in found:
                for patch in patches:
                    if (patch["kind"], patch["metadata"]["name"]) == (each["kind"], each["metadata"]["name"]):
                        _merge(each, patch)
                each["metadata"].setdefault("namespace", kustomization.get("namespace", ""))
                yield place, each


def pod_of(cron_job: dict[str, Any]) -> dict[str, Any]:
    """The pod's spec in a CronJob."""
    found: dict[str, Any] = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def _merge(into: dict[str, Any], patch: Mapping[str, Any]) -> None:
    """A strategic merge, as far as the rendered patches need it: what is named is merged by its name."""
    for key, value in patch.items():
        there = into.get(key)
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(there, dict):
            _merge(there, value)
        elif key in {"containers", "env", "volumes"} and isinstance(there, list):
            for each in value:
                known = next((one for one in there if one["name"] == each["name"]), None)
                if known is None:
                    there.insert(0, dict(each))
                else:
                    _merge(known, each)
        else:
            into[key] = value
