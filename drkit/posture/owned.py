"""An AddOn of k3s as a manifest of the user's own, which k3s deploys in place of the one that it packages. Pure.

Rules are k3s's (docs.k3s.io/installation/packaged-components): a file ``NAME.yaml.skip`` beside ``NAME.yaml`` makes k3s
treat that manifest as if it were not there, and every other manifest in the directory is deployed as an AddOn of its
own name. So the objects of the packaged one go on being there, after a rebuild as well, and upgrades of k3s do not
change them any more.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drkit import bounded_yaml
from drkit.manifests.emit import emit
from drkit.manifests.strip import strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.cluster.kube import Object

PREFIX: Final = "drkit-"
"""What the names of such manifests begin with."""
_K3S: Final = "objectset.rio.cattle.io/"
"""What k3s notes on objects that it deploys; it notes that again."""
_HEAD: Final = "# Of drkit harden (own: true in drkit.yaml), patches {patches}, from {name}.yaml {packaged}."
_MARKS: Final = re.compile(rb"# Of drkit harden .*, patches ([0-9a-f]{16}), from \S+ ([0-9a-f]{16})\.\n")
_DOCUMENTS: Final = re.compile(r"^---.*\n", re.MULTILINE)


def digest(content: bytes) -> str:
    """A short name for a content."""
    return hashlib.sha256(content).hexdigest()[:16]


def of_patches(wished: Iterable[Object]) -> str:
    """A short name for what patches wish."""
    return digest(json.dumps(list(wished), sort_keys=True).encode())


def marks(manifest: bytes) -> tuple[str, str]:
    """Of which patches a manifest was made, and of which packaged one; empty words where it is none of drkit's."""
    match = _MARKS.match(manifest)
    return (match[1].decode(), match[2].decode()) if match else ("", "")


def manifest(name: str, packaged: bytes, patches: str, objects: Iterable[Object]) -> bytes:
    """The packaged manifest with some of its objects as they are in the cluster.

    Args:
        name: the AddOn's.
        packaged: its manifest.
        patches: see ``of_patches``.
        objects: those that are patched, as the API has them.

    Raises:
        ValueError: the packaged manifest is none, or has not all of the objects.
    """
    patched = {_identity(each): each for each in objects}
    parts = [_HEAD.format(patches=patches, name=name, packaged=digest(packaged)) + "\n"]
    for part in _DOCUMENTS.split(packaged.decode()):
        found = patched.pop(_identity(_parsed(name, part)), None)
        parts.append(part if found is None else emit(_wish(found)))
    if patched:
        raise ValueError(f"{name}.yaml has no {', '.join(sorted(' '.join(each[1:]) for each in patched))}")
    return "---\n".join(parts).encode()


def _parsed(name: str, text: str) -> Mapping[str, Any]:
    try:
        found = bounded_yaml.load(text, YAML(typ="safe", pure=True))
    except YAMLError as error:
        raise ValueError(f"{name}.yaml is no manifest: {error}") from None
    return found if isinstance(found, dict) else {}


def _identity(obj: Mapping[str, Any]) -> tuple[str, str, str, str]:
    metadata = obj.get("metadata")
    named: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return group, str(obj.get("kind", "")), str(named.get("namespace", "")), str(named.get("name", ""))


def _wish(obj: Object) -> Object:
    """Without what the cluster and k3s add; the address of the cluster's DNS is a wish, and stays."""
    found = {**strip(obj), **({"spec": obj["spec"]} if "spec" in obj else {})}
    metadata = dict(found["metadata"])
    for key in ("annotations", "labels"):
        kept = {name: value for name, value in (metadata.get(key) or {}).items() if not name.startswith(_K3S)}
        metadata.pop(key, None)
        metadata |= {key: kept} if kept else {}
    return {**found, "metadata": metadata}
