"""What k3s was told, by its files on a node: as the words that its own annotation would have. Pure.

Only what the audit reads is taken: tokens and addresses with passwords stay where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drkit import bounded_yaml
from drkit.cluster import k3s
from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_READ: Final = frozenset(
    {
        "kube-controller-manager-arg",
        "kube-apiserver-arg",
        "kubelet-arg",
        "etcd-arg",
        "vpn-auth",
        "vpn-auth-file",
        "flannel-backend",
        "flannel-external-ip",
        "node-external-ip",
    }
)
_SECRET: Final = frozenset({"vpn-auth"})
_HIDDEN: Final = "********"


def words(files: Mapping[str, bytes], unit: str) -> tuple[str, ...]:
    """The words of a service's configuration files, then of its command line, as far as the audit reads them.

    Args:
        files: texts by absolute path: units, environment files, configuration files.
        unit: the service.

    Raises:
        SourceFailed: one of them cannot be understood.
    """
    found = [
        word for path in (k3s.CONFIG, *k3s.parts(files, k3s.CONFIG)) for word in _written(path, files.get(path, b""))
    ]
    rest = iter(k3s.service(files, unit).words)
    for word in rest:
        key, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and key in _READ:
            found.append(_word(key, value if equals else next(rest, "")))
    return tuple(found)


def _word(key: str, value: Any) -> str:
    return f"--{key}={_HIDDEN if key in _SECRET else value}"


def _written(path: str, text: bytes) -> Iterator[str]:
    try:
        document = bounded_yaml.load(text, YAML(typ="safe", pure=True)) if text.strip() else {}
    except (YAMLError, ValueError) as error:
        raise SourceFailed(f"{path} is not understood: {type(error).__name__}") from None
    for key, value in document.items() if isinstance(document, dict) else ():
        name = str(key).rstrip("+")  # "key+" adds to what earlier files said
        for each in value if isinstance(value, list) else [value]:
            if name in _READ:
                yield _word(name, each)
