"""Descriptors and their summaries: what is read is what was sealed, or an error."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.errors import DrkitError, VerificationFailed, WrongKey
from drkit.points import descriptor as descriptors
from tests.unit import builders

SIGNER = builders.signer()
VERIFIER = builders.verifier(SIGNER)
ODD = builders.source('database/Größe {now} "x"\n数据', details={"proof": {"tables": {'public."a b"': {"rows": 3}}}})
SEALED = builders.descriptor(sources=(ODD, builders.failed("database/gone")))
TEXT = descriptors.encode(SEALED, SIGNER)
COMMENT = descriptors.encode_summary(SEALED, TEXT, SIGNER)

_NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_SOURCES = st.builds(
    descriptors.SourceEntry,
    name=_NAMES.filter(bool),
    kind=st.just("database"),
    vault=st.just("databases"),
    status=st.sampled_from([descriptors.OK, descriptors.FAILED]),
    size=st.integers(0, 2**63),
    sha256=_NAMES,
    error=_NAMES,
    details=st.dictionaries(_NAMES, _JSON, max_size=3),
)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _comment(body: bytes, signature: str | None = None) -> str:
    packed = base64.urlsafe_b64encode(zlib.compress(body)).decode()
    return f"drkit1.{packed}.{SIGNER.sign(body) if signature is None else signature}"


@given(st.lists(_SOURCES, max_size=4), _NAMES, st.dictionaries(_NAMES, _JSON, max_size=3))
def test_descriptors_survive_the_way_through_text(
    sources: list[descriptors.SourceEntry], cluster: str, versions: dict[str, Any]
) -> None:
    """A descriptor with any names in it is read back as it was sealed, and its summary with it."""
    sealed = replace(SEALED, sources=tuple(sources), cluster=cluster, versions=versions)
    text = descriptors.encode(sealed, SIGNER)
    assert descriptors.decode(text, VERIFIER, _sha256(text)) == sealed
    summary = descriptors.decode_summary(descriptors.encode_summary(sealed, text, SIGNER), VERIFIER)
    assert (summary.id, summary.cluster, summary.complete) == (sealed.id, cluster, sealed.complete)
    assert summary.sources == tuple(replace(source, details={}) for source in sources)
    assert summary.sha256 == _sha256(text)


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_one_changed_byte_is_refused(position: int, difference: int) -> None:
    """No byte of a full text can be changed without being seen."""
    changed = bytearray(TEXT)
    changed[position] ^= difference
    with pytest.raises(VerificationFailed):
        descriptors.decode(bytes(changed), VERIFIER, _sha256(TEXT))


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_the_signature_alone_holds_the_content(position: int, difference: int) -> None:
    """Even where the checksum was changed along, a changed text is refused, or says the same."""
    changed = bytearray(TEXT)
    changed[position] ^= difference
    try:
        read = descriptors.decode(bytes(changed), VERIFIER, _sha256(bytes(changed)))
    except (VerificationFailed, WrongKey):
        return
    assert read == SEALED


@given(st.integers(0, len(COMMENT) - 1), st.characters(exclude_categories=["Cs"]))
def test_a_changed_comment_is_refused_or_says_the_same(position: int, character: str) -> None:
    """No character of a comment can be changed so that the listing shows something that was not sealed."""
    changed = COMMENT[:position] + character + COMMENT[position + 1 :]
    try:
        read = descriptors.decode_summary(changed, VERIFIER)
    except (VerificationFailed, WrongKey):
        return
    assert read == descriptors.decode_summary(COMMENT, VERIFIER)


@given(st.text() | st.text().map("drkit1.".__add__) | st.binary().map(lambda body: _comment(body, "AAAA")))
def test_any_other_comment_is_an_error_that_is_understood(comment: str) -> None:
    """A comment that drkit did not write ends in drkit's own error, never in a traceback."""
    with pytest.raises(DrkitError):
        descriptors.decode_summary(comment, VERIFIER)


def test_a_cut_off_comment_is_refused() -> None:
    """A comment that lost its end is no summary."""
    for length in range(len(COMMENT)):
        with pytest.raises(VerificationFailed):
            descriptors.decode_summary(COMMENT[:length].rstrip("="), VERIFIER)


def test_a_comment_that_unpacks_to_too_much_is_refused() -> None:
    """A comment of a few kilobytes cannot fill the memory."""
    bomb = _comment(b" " * (64 * 1024 * 1024))
    assert len(bomb) < 100_000
    with pytest.raises(VerificationFailed, match="malformed"):
        descriptors.decode_summary(bomb, VERIFIER)


def test_deeply_nested_json_is_refused() -> None:
    """A body of brackets alone ends in an error, not in a full stack."""
    body = b"[" * 100_000
    with pytest.raises(VerificationFailed):
        descriptors.decode_summary(_comment(body), VERIFIER)
    with pytest.raises(VerificationFailed):
        descriptors.decode(body, VERIFIER, _sha256(body))


def test_a_key_that_is_not_pinned_is_named() -> None:
    """What another key signed is refused with that key in the message."""
    other = builders.signer(2)
    text = descriptors.encode(SEALED, other)
    with pytest.raises(WrongKey, match="not pinned"):
        descriptors.decode(text, VERIFIER, _sha256(text))
    with pytest.raises(WrongKey, match="not pinned"):
        descriptors.decode_summary(descriptors.encode_summary(SEALED, text, other), VERIFIER)


def test_a_signature_of_another_key_does_not_count_for_a_pinned_one() -> None:
    """Naming a pinned key does not help whoever cannot sign with it."""
    document = json.loads(TEXT)
    document["signature"] = builders.signer(2).sign(descriptors.canonical(document["descriptor"]))
    text = json.dumps(document).encode()
    with pytest.raises(VerificationFailed):
        descriptors.decode(text, VERIFIER, _sha256(text))


def test_an_unknown_format_is_refused() -> None:
    """A descriptor of a later version is not half understood."""
    body = {**SEALED.as_json(), "format": 2}
    signature = SIGNER.sign(descriptors.canonical(body))
    text = json.dumps({"descriptor": body, "key": SIGNER.public, "signature": signature}).encode()
    with pytest.raises(VerificationFailed, match="format 2"):
        descriptors.decode(text, VERIFIER, _sha256(text))


def test_a_comment_is_short_and_safe() -> None:
    """A comment has no character that Borg expands, and grows by little with each source."""
    many = replace(SEALED, sources=tuple(builders.source(f"database/{number}") for number in range(100)))
    comment = descriptors.encode_summary(many, TEXT, SIGNER)
    assert comment.isascii()
    assert comment.isprintable()
    assert not set(comment) & set("{}'\" \\")
    assert len(comment) < 5000


def test_a_point_with_a_failed_source_says_so() -> None:
    """A run that failed in part is marked in descriptor and summary, and what failed is not among what is whole."""
    summary = descriptors.decode_summary(COMMENT, VERIFIER)
    assert not SEALED.complete
    assert not summary.complete
    assert [each.name for each in summary.whole_sources] == [ODD.name]
