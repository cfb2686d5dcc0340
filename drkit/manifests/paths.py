"""Where an object's file is in an export. Pure.

Names come from the cluster: they may have any character, be as long as a file name may be, or differ only in case. So
every byte but ``a-z 0-9 . - _`` is written as ``%`` and two digits, and what is then too long is cut and completed by
its SHA-256. Two different names never share a file, on a file system that does not tell case either.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from drkit.cluster.kube import Resource

OBJECTS: Final = "objects"
RAW: Final = "raw"
INDEX: Final = "index.json"
_CORE: Final = "core"
_LONGEST: Final = 200
_KEPT: Final = 120
_UNSAFE: Final = re.compile(rb"[^a-z0-9._-]|\A\.")


def part(name: str) -> str:
    """One component of a path, never empty, ``.``, ``..`` or longer than a file system takes."""
    safe = _UNSAFE.sub(lambda match: b"%%%02x" % match[0][0], name.encode("utf-8", "surrogatepass")).decode()
    if len(safe) > _LONGEST:
        # The tilde is in no other result.
        return f"{safe[:_KEPT]}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return safe or "%"


def of_kind(kind: Resource) -> str:
    """A kind's directory, such as ``apps/deployments``: scope and version are no part of it, they may change."""
    # A group of that name cannot be a custom resource's, but an aggregated API's.
    group = "%63ore" if kind.group == _CORE else part(kind.group or _CORE)
    return f"{group}/{part(kind.plural)}"


def of_object(kind: Resource, namespace: str, name: str) -> str:
    """Its file in stripped form: ``objects/namespaces/NAMESPACE/GROUP/KIND/NAME.yaml`` or ``objects/cluster/…``."""
    scope = f"namespaces/{part(namespace)}" if namespace else "cluster"
    return f"{OBJECTS}/{scope}/{of_kind(kind)}/{part(name)}.yaml"


def of_raw(kind: Resource) -> str:
    """The file with all of a kind's objects as the API gave them, a line of JSON each."""
    return f"{RAW}/{of_kind(kind)}.jsonl"
