"""What servers say of themselves beside objects: size of etcd's database, and when certificates end. Pure."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as at
from drkit.posture.snapshot import Certificate, Etcd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Object

_METRIC: Final = re.compile(r"^(etcd_[a-z_]+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)
_SIZE: Final = "etcd_mvcc_db_total_size_in_bytes"
_IN_USE: Final = "etcd_mvcc_db_total_size_in_use_in_bytes"
_QUOTA: Final = "etcd_server_quota_backend_bytes"
_ETCD: Final = "/tls/etcd/"
_AUTHORITY: Final = "-ca.crt"
"""k3s's authorities last for ten years, and are not renewed by a restart: they are another matter."""


def etcd(node: str, metrics: str) -> Etcd | None:
    """The database of a member, by etcd's own metrics; None where they do not tell its size."""
    found = {name: float(value) for name, value in _METRIC.findall(metrics)}
    if _SIZE not in found:
        return None
    return Etcd(node, int(found[_SIZE]), int(found.get(_IN_USE, 0)), int(found.get(_QUOTA, 0)))


def certificates(node: str, files: Mapping[str, bytes]) -> Iterator[Certificate]:
    """The certificates of k3s on a node; of each file the first, which is its own."""
    for path, text in sorted(files.items()):
        if not path.endswith(_AUTHORITY):
            kind = "etcd" if _ETCD in path else "k3s"
            yield from _first(kind, f"{node}: {path}", text)


def secrets_of(ingresses: Iterable[Object]) -> set[tuple[str, str]]:
    """The namespaces and names of the Secrets with the certificates that ingresses serve."""
    return {
        (at.namespace(each), name)
        for each in ingresses
        for tls in at.items(each, "spec", "tls")
        if (name := at.text(tls, "secretName"))
    }


def served_by(secret: Object) -> Iterator[Certificate]:
    """The certificate that users see, in a Secret; none where there is none in it."""
    with suppress(ValueError):
        text = base64.b64decode(at.text(secret, "data", "tls.crt"))
        yield from _first("ingress", f"Secret {at.namespace(secret)}/{at.name(secret)}", text)


def _first(kind: str, where: str, text: bytes) -> Iterator[Certificate]:
    from cryptography import x509  # noqa: PLC0415 - slow to import, and needed here alone

    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError:
        return
    if found:
        yield Certificate(kind, where, found[0].not_valid_after_utc)
