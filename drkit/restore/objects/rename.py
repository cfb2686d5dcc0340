"""A namespace under another name: in the objects that are in it, and wherever objects refer to it by a field. Pure.

Fields that name a namespace are found by what they are called, in built-in kinds and in custom resources alike
(``namespace``, ``secretNamespace``, ``namespaces``, ``matchNames``, …), and by what they hold (the label that every
namespace carries, the user names of service accounts). Text is nobody's field: what an environment variable, an
argument or a ConfigMap says is left as it is, and told of (``mentions``) where it seems to mean the namespace, as the
DNS name of a service does.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

from drkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from drkit.cluster.kube import Object
    from drkit.manifests.order import Found

    Names = Mapping[str, str]

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_SYSTEM: Final = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})
_ONE: Final = re.compile(r"namespace\Z|.*(Namespace|-namespace)\Z")
_SEVERAL: Final = re.compile(r"(namespaces|matchNames|.*Namespaces)\Z")
_LABEL: Final = "kubernetes.io/metadata.name"
"""Every namespace carries its name in it, for selectors."""
_ACCOUNT: Final = re.compile(r"(system:serviceaccounts?:)([^:]+)(:.*)?\Z")
_REFERENCES: Final = frozenset(
    {
        "cert-manager.io/inject-ca-from",
        "cert-manager.io/inject-ca-from-secret",
        "nginx.ingress.kubernetes.io/auth-secret",
        "nginx.ingress.kubernetes.io/auth-tls-secret",
        "nginx.ingress.kubernetes.io/proxy-ssl-secret",
    }
)
"""Annotations that hold NAMESPACE/NAME."""
_RELEASE: Final = "meta.helm.sh/release-namespace"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_TEXTS: Final = {"ConfigMap": ("data", "binaryData"), "Secret": ("data", "stringData")}
"""Kinds whose content is text, by its fields."""


def parse(pairs: Sequence[str]) -> dict[str, str]:
    """New names by the old ones, from ``OLD=NEW`` each.

    Raises:
        UsageError: a name is none, or stands for two.
    """
    names: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals or not _NAME.match(old) or not _NAME.match(new):
            raise UsageError(f"--namespace {pair}: expected OLD=NEW, two names of namespaces")
        if old in _SYSTEM or new in _SYSTEM:
            raise UsageError(f"--namespace {pair}: every cluster has these namespaces of its own")
        if old in names or new in names.values():
            raise UsageError(f"--namespace {pair}: one of the two is named twice")
        names[old] = new
    return names


def renamed(found: Iterable[Found], names: Names) -> Iterator[Found]:
    """All objects, with the namespaces under their new names."""
    for kind, obj in found:
        yield kind, rename(obj, names)


def rename(obj: Object, names: Names) -> Object:
    """A copy with the namespaces under their new names; the object itself stays as it is."""
    texts = _TEXTS.get(str(obj.get("kind")), ()) if obj.get("apiVersion") == "v1" else ()
    result = {key: value if key in texts else _field(key, value, names) for key, value in obj.items()}
    metadata = result.get("metadata")
    if isinstance(metadata, dict):
        result["metadata"] = _metadata(obj, metadata, names)
    return result


def _metadata(obj: Object, metadata: dict[str, Any], names: Names) -> dict[str, Any]:
    found = dict(metadata)
    if (obj.get("apiVersion"), obj.get("kind")) == ("v1", "Namespace"):
        found["name"] = _new(found.get("name"), names)
    annotations = obj["metadata"].get("annotations")
    if isinstance(annotations, dict):
        kept = {key: _annotation(key, value, names) for key, value in annotations.items()}
        if found != obj["metadata"]:
            # kubectl would take the old namespace out of it.
            kept.pop(_LAST_APPLIED, None)
        found["annotations"] = kept
    return found


def _annotation(key: str, value: Any, names: Names) -> Any:
    if key == _RELEASE:
        return _new(value, names)
    if key in _REFERENCES and isinstance(value, str):
        namespace, slash, name = value.partition("/")
        return f"{_new(namespace, names)}{slash}{name}"
    return value


def _field(key: str, value: Any, names: Names) -> Any:
    if isinstance(value, dict):
        return _mapping(value, names)
    if isinstance(value, list):
        are_names = _SEVERAL.match(key) is not None
        return [_new(each, names) if are_names and isinstance(each, str) else _field("", each, names) for each in value]
    if not isinstance(value, str):
        return value
    if key == _LABEL or _ONE.match(key):
        return _new(value, names)
    account = _ACCOUNT.match(value)
    return f"{account[1]}{_new(account[2], names)}{account[3] or ''}" if account else value


def _mapping(value: dict[str, Any], names: Names) -> dict[str, Any]:
    selected = value.get("values")
    if value.get("key") == _LABEL and isinstance(selected, list):
        return {**value, "values": [_new(each, names) for each in selected]}
    return {key: _field(key, each, names) for key, each in value.items()}


def _new(name: Any, names: Names) -> Any:
    return names.get(name, name) if isinstance(name, str) else name


def mentions(obj: Object, names: Names) -> tuple[str, ...]:
    """Where text seems to mean one of the namespaces by its old name: paths such as ``data.url``.

    Args:
        obj: renamed already.
        names: new ones by the old.
    """
    patterns = [_meaning(old) for old in names]
    if not patterns:
        return ()
    pattern = re.compile("|".join(patterns))
    is_secret = (obj.get("apiVersion"), obj.get("kind")) == ("v1", "Secret")
    return tuple(
        path
        for path, text in _texts(obj, "")
        if pattern.search(_plain(text) if is_secret and path[:5] == "data." else text)
    )


def _meaning(old: str) -> str:
    """A service's DNS name, an object as Traefik's provider spells it, or NAMESPACE/NAME as a whole value."""
    name = re.escape(old)
    return rf"[\w-]\.{name}(?:\.svc\b|(?![\w.-]))|\b{name}-[\w-]+@kubernetescrd|\A{name}/[\w.-]+\Z"


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            name = each.get("name") if isinstance(each, dict) else None
            yield from _texts(each, f"{path}[{f'name={name}' if isinstance(name, str) else number}]")
    elif isinstance(value, str):
        yield path, value


def _plain(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
