"""Reading kubeconfigs, and the credentials that they lead to."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drkit.clock import SystemClock
from drkit.cluster import in_cluster
from drkit.cluster.credentials import Identity
from drkit.cluster.kubeconfig import Access, Credentials, Plugin, read
from drkit.errors import ConfigurationError
from drkit.masking import mask

if TYPE_CHECKING:
    from pathlib import Path


def _pair() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=36500))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate, pem


CERTIFICATE, KEY = _pair()


def _config(path: Path, user: Any = None, cluster: Any = None, **changed: Any) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [
            {"name": "other", "context": {"cluster": "nowhere", "user": "nobody"}},
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        **changed,
    }
    file = path / "kubeconfig"
    file.write_text(json.dumps(document))
    return file


def test_inline_data_wins_over_files_beside_it(tmp_path: Path) -> None:
    """Certificates and keys come from the document where they stand in it, else from files relative to it."""
    (tmp_path / "pki").mkdir()
    for name, content in (("ca", CERTIFICATE), ("crt", CERTIFICATE), ("key", KEY)):
        (tmp_path / "pki" / name).write_bytes(content)
    encoded = base64.b64encode(CERTIFICATE).decode()
    file = _config(
        tmp_path,
        {"client-certificate": "pki/crt", "client-key": "pki/key"},
        {"certificate-authority-data": encoded, "certificate-authority": "pki/not-there", "tls-server-name": "k3s"},
    )
    access = read(file)
    assert access == Access("https://192.0.2.1:6443", CERTIFICATE, "k3s", Credentials(CERTIFICATE, KEY))
    context = Identity(access, SystemClock()).context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_secrets_are_masked_and_never_shown(tmp_path: Path) -> None:
    """A token and a key that were read appear nowhere."""
    access = read(_config(tmp_path, {"token": "very-secret-token"}))
    assert access.credentials.token == "very-secret-token"
    assert "very-secret" not in repr(access)
    assert "very-secret" not in mask("Bearer very-secret-token")


def test_another_context_can_be_asked_for(tmp_path: Path) -> None:
    """The current context is only the default; one whose cluster is not there is an error."""
    with pytest.raises(ConfigurationError, match="nowhere"):
        read(_config(tmp_path), "other")


def test_a_renewed_token_is_read_again(tmp_path: Path) -> None:
    """A token's file wins over the token beside it, and is read again when the old one was refused."""
    (tmp_path / "token").write_text("first-token\n")
    identity = Identity(read(_config(tmp_path, {"token": "stale", "tokenFile": "token"})), SystemClock())
    assert identity.headers() == {"Authorization": "Bearer first-token"}
    (tmp_path / "token").write_text("second-token\n")
    assert identity.headers() == {"Authorization": "Bearer first-token"}
    identity.forget()
    assert identity.headers() == {"Authorization": "Bearer second-token"}


def _plugin(path: Path, script: str) -> Path:
    program = path / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./plugin",
        "args": ["get-token"],
        "env": [{"name": "REGION", "value": "nbg1"}],
        "installHint": "apt install plugin",
    }
    return _config(path, {"exec": command})


def test_a_plugin_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets its arguments and environment, no secret of drkit's, and is asked once while its answer serves."""
    monkeypatch.setenv("BORG_PASSPHRASE", "secret")
    file = _plugin(
        tmp_path,
        'echo asked >>"$(dirname "$0")/asked"\n'
        '[ -z "$BORG_PASSPHRASE" ] || exit 9\n'
        'case "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 8;; esac\n'
        'echo "{\\"kind\\":\\"ExecCredential\\",\\"status\\":{\\"token\\":\\"$1-$REGION\\",'
        '\\"expirationTimestamp\\":\\"2999-01-01T00:00:00Z\\"}}"',
    )
    identity = Identity(read(file), SystemClock())
    assert identity.headers() == {"Authorization": "Bearer get-token-nbg1"}
    assert identity.headers()
    assert (tmp_path / "asked").read_text() == "asked\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "exited with 3"),
        ("echo hello", "no ExecCredential"),
        ('echo "{\\"status\\":{}}"', "neither a token nor"),
        ('echo "[]"', "no ExecCredential"),
    ],
)
def test_a_plugin_that_fails_is_named(tmp_path: Path, script: str, said: str) -> None:
    """What a plugin cannot give is an error that names it."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        Identity(read(_plugin(tmp_path, script)), SystemClock()).headers()
    assert "plugin" in caught.value.message


def test_a_plugin_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    """Its author's words are the hint."""
    access = read(_config(tmp_path))
    plugin = Plugin((str(tmp_path / "gone"),), "client.authentication.k8s.io/v1", {}, "apt install plugin")
    with pytest.raises(ConfigurationError) as caught:
        Identity(replace(access, credentials=Credentials(plugin=plugin)), SystemClock()).headers()
    assert caught.value.hint == "apt install plugin"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"current-context": None}, "current-context: missing"),
        ({"current-context": "gone"}, "'gone'"),
        ({"contexts": "text"}, "contexts"),
        ({"cluster": {"server": "http://192.0.2.1:6443"}}, "not encrypted"),
        ({"cluster": {"server": "ftp://192.0.2.1"}}, "expected https"),
        ({"cluster": {"server": "https://h:99999"}}, "no URL"),
        ({"cluster": {"server": 7}}, "expected text"),
        ({"cluster": {"insecure-skip-tls-verify": True}}, "insecure-skip-tls-verify"),
        ({"cluster": {"proxy-url": "http://192.0.2.2"}}, "proxy-url"),
        ({"cluster": {"certificate-authority-data": "!"}}, "base64"),
        ({"cluster": {"certificate-authority": "gone"}}, "cannot be read"),
        ({"user": {"client-certificate-data": base64.b64encode(CERTIFICATE).decode()}}, "one of them is missing"),
        ({"user": {"username": "admin", "password": "x"}}, "basic authentication"),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "auth-provider"),
        ({"user": {"exec": {"command": "x"}}}, "apiVersion"),
        ({"user": {"exec": 3}}, "expected keys"),
        (
            {
                "user": {
                    "exec": {
                        "command": "x",
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "interactiveMode": "Always",
                    }
                }
            },
            "questions",
        ),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    """Each complaint names the file and what was expected."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        read(_config(tmp_path, **changed))
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a: b: c", "\0", "current-context: [", "&a [*a]", "[" * 10_000, "#" * 5_000_000],
    ids=["empty", "list", "no-yaml", "control", "open", "itself", "deep", "large"],
)
def test_what_is_no_kubeconfig_is_said(tmp_path: Path, text: str) -> None:
    """A file of another kind is refused without repeating what is in it."""
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="expected"):
        read(file)


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    """It is named, and where to get it."""
    with pytest.raises(ConfigurationError, match="not there") as caught:
        read(tmp_path / "gone")
    assert "k3s.yaml" in caught.value.hint


@pytest.mark.parametrize(
    ("certificate", "key"),
    [(b"no PEM", KEY), (CERTIFICATE, b"no PEM"), (CERTIFICATE, _pair()[1])],
    ids=["no certificate", "no key", "another key"],
)
def test_certificates_that_do_not_fit_are_said(tmp_path: Path, certificate: bytes, key: bytes) -> None:
    """A key that is another certificate's, or none, is a configuration's error."""
    access = replace(read(_config(tmp_path)), credentials=Credentials(certificate, key))
    with pytest.raises(ConfigurationError, match="expected a pair"):
        Identity(access, SystemClock()).context()


POD = {"KUBERNETES_SERVICE_HOST": "10.43.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def _service_account(path: Path) -> Path:
    (path / "token").write_text("first-token\n")
    (path / "ca.crt").write_bytes(CERTIFICATE)
    return path


def test_a_pod_reaches_its_cluster_as_its_service_account(tmp_path: Path) -> None:
    """Address, authority and the token's file are what the kubelet gave the pod; IPv6 addresses stand in brackets."""
    directory = _service_account(tmp_path)
    access = in_cluster.access(POD, directory)
    assert access == Access("https://10.43.0.1:443", CERTIFICATE, "", Credentials(token_file=directory / "token"))
    assert in_cluster.access({**POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}, directory).server == "https://[fd00::1]:443"
    assert Identity(access, SystemClock()).context().verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("environment", "lost", "said"),
    [
        ({}, "", "KUBERNETES_SERVICE_HOST"),
        ({**POD, "KUBERNETES_SERVICE_PORT": "tcp://10.43.0.1"}, "", "KUBERNETES_SERVICE_PORT"),
        (POD, "token", "token cannot be read"),
        (POD, "ca.crt", "ca.crt cannot be read"),
    ],
)
def test_outside_of_a_pod_in_cluster_is_refused(
    tmp_path: Path, environment: dict[str, str], lost: str, said: str
) -> None:
    """Without the pod's environment, token or authority the configuration is said to be wrong, and what to do."""
    directory = _service_account(tmp_path)
    if lost:
        (directory / lost).unlink()
    with pytest.raises(ConfigurationError, match=said) as refused:
        in_cluster.access(environment, directory)
    assert "name a kubeconfig" in refused.value.hint


def test_an_empty_authority_does_not_mean_everybody_s(tmp_path: Path) -> None:
    """A ca.crt with nothing in it is refused: the machine's own list of authorities would be believed instead."""
    (_service_account(tmp_path) / "ca.crt").write_bytes(b"\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        in_cluster.access(POD, tmp_path)
