"""Real registries on loopback: the reference implementation, built once like the lab's Kubernetes."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit
from uuid import uuid4

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from drkit import process
from drkit.lab.k3s import build
from drkit.lab.k3s.recipe import Module
from drkit.lab.ports import free_port
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = Module(
    "registry",
    requires=(("github.com/distribution/distribution/v3", "3.0.0"),),
    package="github.com/distribution/distribution/v3/cmd/registry",
    place=Path(__file__).parent / "modules",
)
USER, PASSWORD = "somebody", "pass-word-of-the-test"
_HTPASSWD = f"{USER}:$2b$05$xDdpLo8CT..Og12rws9lmOt4Wzzj1wSNeSeUI4j04aViO5ufNO7mC\n"
"""The password, as bcrypt keeps it."""
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"


@dataclass(frozen=True)
class Registry:
    """A running one."""

    port: int
    headers: dict[str, str]
    """Of whoever may put images there."""

    def image(self, name: str) -> str:
        """One of its images."""
        return f"127.0.0.1:{self.port}/{name}"

    def push(self, repository: str, tag: str, *architectures: str) -> str:
        """Put an image there: for one architecture as it is, for several as an index. Returns its digest."""
        manifests = [self._one(repository, each) for each in architectures]
        if len(manifests) == 1:
            return self._manifest(repository, tag, manifests[0], _MANIFEST)
        entries = [
            {
                "mediaType": _MANIFEST,
                "digest": self._manifest(repository, _digest(each), each, _MANIFEST),
                "size": len(each),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for each, architecture in zip(manifests, architectures, strict=True)
        ]
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}
        return self._manifest(repository, tag, json.dumps(index).encode(), _INDEX)

    def _one(self, repository: str, architecture: str) -> bytes:
        config = {"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}}
        content = json.dumps(config).encode()
        self._blob(repository, content)
        told = {"mediaType": _CONFIG, "digest": _digest(content), "size": len(content)}
        return json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": told, "layers": []}).encode()

    def _blob(self, repository: str, content: bytes) -> None:
        begun = self._send("POST", f"{repository}/blobs/uploads/")
        place = urljoin(self._url(""), begun.headers["Location"])
        joined = "&" if "?" in place else "?"
        headers = {**self.headers, "Content-Type": "application/octet-stream"}
        done = urllib3.request("PUT", f"{place}{joined}digest={_digest(content)}", body=content, headers=headers)
        assert done.status == 201, done.data

    def _manifest(self, repository: str, version: str, content: bytes, kind: str) -> str:
        self._send("PUT", f"{repository}/manifests/{version}", body=content, headers={"Content-Type": kind})
        return _digest(content)

    def _send(self, method: str, path: str, **rest: Any) -> urllib3.BaseHTTPResponse:
        headers = {**self.headers, **rest.pop("headers", {})}
        answer = urllib3.request(method, self._url(path), headers=headers, **rest)
        assert answer.status in {201, 202}, answer.data
        return answer

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/v2/{path}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def basic(user: str, password: str) -> str:
    """What a client says of who it is."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@contextmanager
def with_passwords() -> Iterator[Registry]:
    """A registry that wants a name and a password."""
    with TemporaryDirectory(prefix="drkit-registry-") as directory:
        passwords = Path(directory) / "htpasswd"
        passwords.write_text(_HTPASSWD)
        auth = {"htpasswd": {"realm": "test", "path": str(passwords)}}
        with _running(Path(directory), auth) as port:
            yield Registry(port, {"Authorization": basic(USER, PASSWORD)})


@contextmanager
def with_tokens() -> Iterator[Registry]:
    """A registry that wants a token, which a place of its own gives to who has a name and a password."""
    with TemporaryDirectory(prefix="drkit-registry-") as directory, _tokens() as (port, giver):
        certificate = Path(directory) / "issuer.pem"
        certificate.write_bytes(giver.certificate.public_bytes(serialization.Encoding.PEM))
        auth = {
            "token": {
                "realm": f"http://127.0.0.1:{port}/token",
                "service": "registry",
                "issuer": "test",
                "rootcertbundle": str(certificate),
            }
        }
        with _running(Path(directory), auth) as registry:
            yield Registry(registry, {"Authorization": f"Bearer {giver.token('tokens/web', ['pull', 'push'])}"})


@contextmanager
def _running(directory: Path, auth: dict[str, Any]) -> Iterator[int]:
    program = build.build(lambda _: None, modules=[MODULE]).programs["registry"]
    port = free_port()
    configuration = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"inmemory": {}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": uuid4().hex},
        "auth": auth,
    }
    (directory / "config.yml").write_text(json.dumps(configuration))
    with (directory / "log").open("wb") as log:
        child = process.spawn(
            [str(program), "serve", str(directory / "config.yml")],
            env=process.clean_environment(),
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: child.poll() is not None or _answers(port))
        assert child.poll() is None, (directory / "log").read_text()
        yield port
    finally:
        process.stop(child)


def _answers(port: int) -> bool:
    try:
        return urllib3.request("GET", f"http://127.0.0.1:{port}/v2/", retries=False).status == 401
    except urllib3.exceptions.HTTPError:
        return False


class _Giver:
    """Signs tokens, in the form of https://distribution.github.io/distribution/spec/auth/jwt/."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .sign(self._key, hashes.SHA256())
        )

    def token(self, repository: str, actions: list[str]) -> str:
        """One for these actions on a repository."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        now = int(time.time())
        claims = {
            "iss": "test",
            "sub": USER,
            "aud": "registry",
            "exp": now + 600,
            "nbf": now - 60,
            "iat": now,
            "jti": uuid4().hex,
            "access": [{"type": "repository", "name": repository, "actions": actions}],
        }
        text = ".".join(_base64url(json.dumps(each).encode()) for each in (header, claims))
        return f"{text}.{_base64url(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def _tokens() -> Iterator[tuple[int, _Giver]]:
    """A stand-in for the place that gives tokens: who has the password may pull, all others get a token for nothing."""
    giver = _Giver()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
            known = self.headers.get("Authorization") == basic(USER, PASSWORD)
            token = giver.token(scope.split(":")[1] if scope else "", ["pull"] if known else [])
            body = json.dumps({"token": token}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden parameter
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], giver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
