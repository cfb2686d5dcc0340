"""Plain values for the tests of the pure core."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drkit.clock import to_text
from drkit.points.descriptor import FAILED, OK, Descriptor, SourceEntry, Summary, Verification
from drkit.points.point import Point
from drkit.points.signing import Signer, Verifier

if TYPE_CHECKING:
    from collections.abc import Iterable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def signer(seed: int = 1) -> Signer:
    """A key that is the same in every run."""
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def verifier(*signers: Signer) -> Verifier:
    """Pins the keys of these signers."""
    return Verifier(frozenset(each.public for each in signers))


def point_id(created: datetime, tail: str = "abc123") -> str:
    """An id as a run at ``created`` makes it."""
    return f"{created:%Y%m%dT%H%M%SZ}-{tail}"


def source(name: str = "database/billing", **changed: Any) -> SourceEntry:
    """A source that was stored whole, unless ``changed`` says otherwise."""
    fields: dict[str, Any] = {
        "name": name,
        "kind": name.partition("/")[0],
        "vault": "databases",
        "status": OK,
        "archive": f"archive of {name}",
        "archive_id": "aa" * 32,
        "file": "database.dump",
        "size": 1000,
        "sha256": "00" * 32,
    }
    return SourceEntry(**{**fields, **changed})


def failed(name: str) -> SourceEntry:
    """A source that was not stored."""
    return SourceEntry(name, name.partition("/")[0], "databases", FAILED, error="the server went away")


def descriptor(
    created: datetime = NOON, sources: Iterable[SourceEntry] = (), *, tail: str = "abc123", cluster: str = "docfast"
) -> Descriptor:
    """What a run at ``created`` sealed."""
    return Descriptor(
        id=point_id(created, tail),
        cluster=cluster,
        created=to_text(created),
        finished=to_text(created),
        sources=tuple(sources) or (source(),),
        versions={"drkit": "0.1"},
    )


def point(
    created: datetime = NOON,
    sources: Iterable[SourceEntry] = (),
    *,
    missing: Iterable[str] = (),
    verified: str | None = None,
    tail: str = "abc123",
) -> Point:
    """A point as the catalogue gives it."""
    sealed = descriptor(created, sources, tail=tail)
    summary = Summary(sealed.id, sealed.cluster, sealed.created, sealed.complete, sealed.sources, "00" * 32)
    verification = None if verified is None else Verification(to_text(created), verified)
    gone = frozenset((each.name, each.vault) for each in sealed.sources if each.name in set(missing))
    vaults = {each.vault: "bb" * 32 for each in sealed.sources}
    return Point(summary, vaults, gone, verified=verification)
