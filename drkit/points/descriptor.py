"""The descriptor of a recovery point, its full text and its summary, both signed.

The full text is JSON: ``{"descriptor": {…}, "key": "ed25519:…", "signature": "…"}``, signed over the canonical form
of ``descriptor``. The summary travels in the comment of the archive that holds the full text, so that a listing
opens nothing: ``drkit1.<zlib+base64 of canonical JSON>.<signature>``. It carries the SHA-256 of the full text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from drkit.points.signing import Signer, Verifier

FORMAT = 1
FILE = "descriptor.json"
"""As its archive calls it."""
LARGEST_BYTES = 64 * 1024 * 1024
"""A descriptor of a hundred thousand tables has 10 MB. More is not read: what comes out of the box is untrusted."""
_COMMENT = "drkit1"
_VERIFIED = "drkit1-verified"
_MALFORMED = "the summary of a recovery point is malformed"
_SUMMARY_LARGEST_BYTES = 4 * 1024 * 1024

OK = "ok"
PARTIAL = "partial"
"""Stored, and known to lack something, which ``error`` names: never drawn on unless that was accepted."""
FAILED = "failed"


@dataclass(frozen=True)
class SourceEntry:
    """One source of a point in one vault. A source that goes to several has an entry for each, with a proof of its own.

    ``size`` is in bytes as read from the source, ``added`` those new to the vault; times are RFC 3339 in UTC.
    ``details`` is what belongs to the kind of source: proof, versions, dump format.
    """

    name: str
    kind: str
    vault: str
    status: str
    archive: str = ""
    archive_id: str = ""
    file: str = ""
    size: int = 0
    sha256: str = ""
    added: int = 0
    started: str = ""
    ended: str = ""
    error: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the source was stored whole."""
        return self.status == OK

    @property
    def stored(self) -> bool:
        """Whether there is an archive of it, whole or not."""
        return self.status in {OK, PARTIAL}


@dataclass(frozen=True)
class Descriptor:
    """What one run sealed."""

    id: str
    cluster: str
    created: str
    finished: str
    sources: tuple[SourceEntry, ...]
    versions: dict[str, Any]
    warnings: tuple[str, ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    """Volumes whose data is in no source: ``namespace``, ``claim``, ``size``, ``storage_class``, ``used_by``."""
    format: int = FORMAT

    @property
    def complete(self) -> bool:
        """Whether every source was stored whole, in one of its vaults at least."""
        return {source.name for source in self.sources} == {source.name for source in self.sources if source.ok}

    @property
    def incomplete_in(self) -> tuple[str, ...]:
        """The vaults whose own part of it is not whole."""
        return tuple(sorted({source.vault for source in self.sources if not source.ok}))

    def called(self, source: SourceEntry) -> str:
        """What people see it as: with its vault, where it is in several."""
        several = sum(each.name == source.name for each in self.sources) > 1
        return f"{source.name} in vault {source.vault}" if several else source.name

    def as_json(self) -> dict[str, Any]:
        """As it is signed, stored and shown."""
        return {**asdict(self), "complete": self.complete}


@dataclass(frozen=True)
class Summary:
    """What a listing shows of a point without opening its descriptor."""

    id: str
    cluster: str
    created: str
    complete: bool
    sources: tuple[SourceEntry, ...]
    sha256: str

    @property
    def whole_sources(self) -> tuple[SourceEntry, ...]:
        """The sources that were stored whole, one in two vaults twice."""
        return tuple(source for source in self.sources if source.ok)

    @property
    def stored_sources(self) -> tuple[SourceEntry, ...]:
        """The sources that have an archive, whole or not."""
        return tuple(source for source in self.sources if source.stored)


def canonical(value: Any) -> bytes:
    """The one form of a JSON value that is signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def encode(descriptor: Descriptor, signer: Signer) -> bytes:
    """The full text."""
    body = descriptor.as_json()
    document = {"descriptor": body, "key": signer.public, "signature": signer.sign(canonical(body))}
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def decode(text: bytes, verifier: Verifier, expected_sha256: str) -> Descriptor:
    """Read a full text and check it.

    Args:
        text: as ``encode`` made it.
        verifier: holds the pinned keys.
        expected_sha256: from the summary.

    Raises:
        VerificationFailed: it is not what was sealed.
        WrongKey: it was sealed under a key that is not pinned.
    """
    if hashlib.sha256(text).hexdigest() != expected_sha256:
        raise VerificationFailed("a descriptor is not the one that its summary names (SHA-256 differs)")
    try:
        document = json.loads(text)
        body, key, signature = document["descriptor"], document["key"], document["signature"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VerificationFailed("a descriptor is malformed") from None
    verifier.check(canonical(body), key, signature)
    return _descriptor(body)


def _descriptor(body: dict[str, Any]) -> Descriptor:
    if body.get("format") != FORMAT:
        raise VerificationFailed(f"a descriptor has format {body.get('format')!r}; this version reads {FORMAT}")
    sources = tuple(SourceEntry(**entry) for entry in body["sources"])
    fields = {name: body[name] for name in ("id", "cluster", "created", "finished", "versions")}
    volumes = tuple(body.get("volumes", ()))  # version 0.1 knew of none
    return Descriptor(**fields, sources=sources, warnings=tuple(body["warnings"]), volumes=volumes)


@dataclass(frozen=True)
class Verification:
    """That a point was verified: when (RFC 3339, UTC), and how deeply (``checksums`` or ``restored``)."""

    at: str
    level: str


def encode_verification(point: str, record: Verification, signer: Signer) -> str:
    """The record as an archive comment, signed: who can only write to the vault cannot call a point proven."""
    body = canonical({**asdict(record), "point": point, "key": signer.public})
    return f"{_VERIFIED}.{base64.urlsafe_b64encode(body).decode()}.{signer.sign(body)}"


def decode_verification(point: str, comment: str, verifier: Verifier) -> Verification:
    """Read such a comment and check it.

    Raises:
        VerificationFailed: it is none, is not of this point, or its signature does not fit.
        WrongKey: it was signed under a key that is not pinned.
    """
    marker, _, rest = comment.partition(".")
    packed, _, signature = rest.partition(".")
    try:
        body = base64.urlsafe_b64decode(packed)
        document = json.loads(body)
        key, of, record = document["key"], document["point"], Verification(document["at"], document["level"])
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise VerificationFailed("the record of a verification is malformed") from None
    verifier.check(body, key, signature)
    if marker != _VERIFIED or of != point:
        raise VerificationFailed(f"the record of a verification is not of {point}")
    return record


def encode_summary(descriptor: Descriptor, full_text: bytes, signer: Signer) -> str:
    """The summary as an archive comment."""
    body = canonical(
        {
            "format": FORMAT,
            "id": descriptor.id,
            "cluster": descriptor.cluster,
            "created": descriptor.created,
            "complete": descriptor.complete,
            "key": signer.public,
            "sha256": hashlib.sha256(full_text).hexdigest(),
            "sources": [
                {name: value for name, value in asdict(source).items() if name != "details" and value not in ("", 0)}
                for source in descriptor.sources
            ],
        }
    )
    packed = base64.urlsafe_b64encode(zlib.compress(body, 9)).decode()
    return f"{_COMMENT}.{packed}.{signer.sign(body)}"


def decode_summary(comment: str, verifier: Verifier) -> Summary:
    """Read an archive comment and check it.

    Raises:
        VerificationFailed: it is no summary, or its signature does not fit.
        WrongKey: it was signed under a key that is not pinned.
    """
    body, signature = _unpack(comment)
    try:
        document = json.loads(body)
        key = document["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VerificationFailed(_MALFORMED) from None
    verifier.check(body, key, signature)
    if document.get("format") != FORMAT:
        raise VerificationFailed(f"a summary has format {document.get('format')!r}; this version reads {FORMAT}")
    return Summary(
        id=document["id"],
        cluster=document["cluster"],
        created=document["created"],
        complete=document["complete"],
        sources=tuple(SourceEntry(**entry) for entry in document["sources"]),
        sha256=document["sha256"],
    )


def _unpack(comment: str) -> tuple[bytes, str]:
    """The signed bytes of a comment and the signature; bounded, since a small comment can unpack to anything."""
    marker, _, rest = comment.partition(".")
    packed, _, signature = rest.partition(".")
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(base64.urlsafe_b64decode(packed), _SUMMARY_LARGEST_BYTES)
    except (ValueError, zlib.error, binascii.Error):
        raise VerificationFailed(_MALFORMED) from None
    if marker != _COMMENT or not unpacker.eof:
        raise VerificationFailed(_MALFORMED)
    return body, signature
