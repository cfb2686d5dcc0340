"""Certificate authorities and the certificates they sign, with the names and groups that Kubernetes knows."""

from __future__ import annotations

import base64
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable

_YEAR = timedelta(days=365)
_BACKDATED = timedelta(minutes=5)
"""Clocks of nodes differ a little: a certificate is valid from a moment before it was made."""


@dataclass(frozen=True)
class Authority:
    """A CA on disk: ``<stem>.crt`` and ``<stem>.key``."""

    stem: Path

    @property
    def certificate(self) -> Path:
        """Its certificate."""
        return self.stem.with_name(self.stem.name + ".crt")

    @property
    def key(self) -> Path:
        """Its private key."""
        return self.stem.with_name(self.stem.name + ".key")


@dataclass(frozen=True)
class Subject:
    """Whom a certificate names: user, groups and, for servers, the names and addresses it is reached by."""

    name: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    server: bool = False
    client: bool = True


def write_private(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``, readable by root alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def encoded(path: str) -> str:
    """A file's content in base64, as kubeconfigs hold it."""
    return base64.b64encode(Path(path).read_bytes()).decode()


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def make_authority(authority: Authority, name: str) -> None:
    """Make a self-signed CA named ``name``, valid for ten years, unless it is there."""
    if authority.certificate.exists() and authority.key.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}@{int(now.timestamp())}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + 10 * _YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(authority.key, key_pem(key))
    write_private(authority.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def make_service_key(path: Path) -> None:
    """Make the key that signs service accounts' tokens, unless it is there."""
    if not path.exists():
        write_private(path, key_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))


def make_leaf(authority: Authority, stem: Path, subject: Subject) -> None:
    """Make a key and a certificate at ``stem`` (``.key``, ``.crt``), always anew: addresses may have changed."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(stem.with_name(stem.name + ".key"), key_pem(key))
    write_private(stem.with_name(stem.name + ".crt"), _sign(authority, key.public_key(), subject))


def make_request(stem: Path, name: str) -> bytes:
    """Make a key at ``stem`` (``.key``) unless it is there, and a signing request for it, as PEM."""
    path = stem.with_name(stem.name + ".key")
    if path.exists():
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        key = loaded if isinstance(loaded, ec.EllipticCurvePrivateKey) else ec.generate_private_key(ec.SECP256R1())
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    write_private(path, key_pem(key))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def sign_request(authority: Authority, request: bytes, subject: Subject) -> bytes:
    """Certify the key of ``request`` for ``subject``, whatever name the request asks for.

    Raises:
        ValueError: the request is not one, or not signed by its own key.
    """
    parsed = x509.load_pem_x509_csr(request)
    public = parsed.public_key()
    if not parsed.is_signature_valid or not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError("the signing request is not valid")
    return _sign(authority, public, subject)


def _sign(authority: Authority, public: ec.EllipticCurvePublicKey, subject: Subject) -> bytes:
    issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    signer = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TypeError(f"{authority.key} holds no key that can sign certificates")
    now = datetime.now(UTC)
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH] * subject.client + [ExtendedKeyUsageOID.SERVER_AUTH] * subject.server
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, subject.name)]))
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _YEAR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
    )
    if subject.hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(_hosts(subject.hosts)), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem) + issuer.public_bytes(pem)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _hosts(hosts: Iterable[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names
