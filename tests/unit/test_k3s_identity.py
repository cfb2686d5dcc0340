"""The stand-in for k3s: tokens, the identity in the datastore, node passwords, and certificates."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.lab.k3s.standin import bootstrap, nodepassword, pki, supervisor, token
from drkit.lab.k3s.standin.problem import Fatal

if TYPE_CHECKING:
    from pathlib import Path

CA = b"-----BEGIN CERTIFICATE-----\n"
DIGEST = token.ca_hash(CA)
WORDS = st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), min_size=1)


def test_a_full_token_is_taken_apart() -> None:
    """A full token gives its user, its password and the CA that it pins, whatever the password's characters."""
    text = token.full("pass:word", "server", CA)
    assert text == f"K10{DIGEST}::server:pass:word"
    assert token.parse(f" {text}\n") == token.Token("pass:word", "server", DIGEST)


def test_a_short_token_is_a_password() -> None:
    """A token without the prefix is a password, and pins nothing."""
    assert token.parse("secret") == token.Token("secret")
    token.check_pin(token.parse("secret"), b"any CA")


@pytest.mark.parametrize("text", ["", "K10::server:x", f"K10{DIGEST}::server", f"K10{DIGEST}::server:", "K10ab::u:p"])
def test_a_malformed_token_is_refused(text: str) -> None:
    """What begins like a full token and is none is not taken for a password."""
    with pytest.raises(Fatal):
        token.parse(text)


def test_another_ca_is_refused() -> None:
    """A token is good for the cluster whose CA it pins, and for no other."""
    pinned = token.parse(token.full("secret", "node", CA))
    token.check_pin(pinned, CA)
    with pytest.raises(Fatal, match="hash"):
        token.check_pin(pinned, CA + b"x")


@given(WORDS, st.binary(max_size=300))
@settings(max_examples=15)
def test_what_is_encrypted_is_opened_with_the_same_token_alone(password: str, plain: bytes) -> None:
    """The identity opens with its token, and with no other."""
    sealed = bootstrap.encrypt(password, plain)
    assert bootstrap.decrypt(password, sealed) == plain
    with pytest.raises(Fatal, match="decrypt"):
        bootstrap.decrypt(password + "x", sealed)


@pytest.mark.parametrize("sealed", ["", "salt", "salt:", "salt:%%%", "salt:AAAA"])
def test_damaged_data_is_refused(sealed: str) -> None:
    """Data that is no sealed identity is named as such."""
    with pytest.raises(Fatal, match="decrypt"):
        bootstrap.decrypt("secret", sealed)


def test_the_key_names_the_token_without_telling_it() -> None:
    """The identity lies under the first twelve digits of the token's SHA-256, as k3s has it."""
    assert bootstrap.storage_key("secret") == "/bootstrap/2bb80d537b1d"


def test_a_datastore_of_another_token_is_refused() -> None:
    """A new datastore has no identity yet; one with another token's identity alone is refused in k3s's words."""
    own, other = bootstrap.storage_key("own"), bootstrap.storage_key("other")
    assert bootstrap.choose([], "own") is None
    assert bootstrap.choose([other, own], "own") == own
    with pytest.raises(Fatal, match="bootstrap data already found and encrypted with different token"):
        bootstrap.choose([other], "own")


def test_a_bundle_survives_storage_and_disk(tmp_path: Path) -> None:
    """Files come back from the datastore with their content, their date, and for root's eyes alone."""
    bundle = {"ServerCA": bootstrap.Kept(b"\x00ca", 1_700_000_000), "PasswdFile": bootstrap.Kept(b"", 1_700_000_005)}
    assert bootstrap.load(bootstrap.dump(bundle)) == bundle
    bootstrap.write_to_disk(bundle, tmp_path)
    assert bootstrap.read_from_disk(tmp_path) == bundle
    assert (tmp_path / "tls/server-ca.crt").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "age", "newer", "differs"),
    [
        (b"same", 100, False, False),
        (b"other", 2, False, True),
        (b"other", 3, True, True),
        (b"other", -100, False, True),
    ],
)
def test_only_younger_files_contradict_the_datastore(content: bytes, age: int, newer: bool, differs: bool) -> None:
    """A file that differs is replaced if it is older than the datastore's, and stops k3s if it is younger by 3 s."""
    stored = {"ServerCA": bootstrap.Kept(b"same", 1000)}
    disk = {"ServerCA": bootstrap.Kept(content, 1000 + age)}
    assert bool(bootstrap.newer_on_disk(disk, stored)) is newer
    assert bootstrap.differs(disk, stored) is differs
    assert not bootstrap.newer_on_disk({}, stored)


def test_a_node_password_is_kept_as_a_salted_hash() -> None:
    """A node's password is recognised by its hash, which differs each time and does not tell it."""
    first, second = nodepassword.make_hash("secret"), nodepassword.make_hash("secret")
    assert first != second
    assert first.startswith("$1:")
    assert nodepassword.matches("secret", first)
    assert not nodepassword.matches("other", first)
    assert not nodepassword.matches("secret", "")
    assert nodepassword.secret_name("Node-A") == "node-a.node-password.k3s"


def test_accounts_are_proved_by_both_parts() -> None:
    """A request is that of an account only with its name and its password."""
    passwd = "secret,node,node,k3s:agent\nsecret,server,server,k3s:server\n"

    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    assert supervisor.user_of(basic("node:secret"), passwd) == "node"
    assert not supervisor.user_of(basic("node:other"), passwd)
    assert not supervisor.user_of(basic("admin:secret"), passwd)
    assert not supervisor.user_of("Basic %%%", passwd)
    assert not supervisor.user_of("", passwd)


def test_a_request_is_certified_for_whom_the_server_says(tmp_path: Path) -> None:
    """A signing request gets the name that the server chose, and not the one it asks for."""
    authority = pki.Authority(tmp_path / "client-ca")
    pki.make_authority(authority, "test")
    request = pki.make_request(tmp_path / "node", "system:admin")
    subject = pki.Subject("system:node:w1", ("system:nodes",), ("w1", "192.0.2.1"))
    certificate = x509.load_pem_x509_certificate(pki.sign_request(authority, request, subject))
    assert certificate.subject.rfc4514_string() == "CN=system:node:w1,O=system:nodes"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["w1"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate.read_bytes()))
