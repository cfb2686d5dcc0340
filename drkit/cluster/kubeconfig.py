"""What a kubeconfig says about reaching a cluster's API, as one frozen value.

The format is https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. Relative paths in it are relative to the
file's own directory, and inline data wins over a file named beside it, as in kubectl.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from drkit.errors import ConfigurationError
from drkit.masking import register

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST_BYTES = 4 * 1024 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REFUSED = {
    "auth-provider": "auth-provider was removed from Kubernetes 1.26; expected exec, a token or a certificate",
    "username": "basic authentication was removed from Kubernetes 1.19; expected a token or a certificate",
}


@dataclass(frozen=True)
class Plugin:
    """A program that prints credentials (client-go credential plugins)."""

    argv: tuple[str, ...]
    api_version: str
    environment: Mapping[str, str] = field(repr=False)
    hint: str = ""
    """What its author says to whoever has not installed it."""


@dataclass(frozen=True)
class Credentials:
    """How drkit says who it is: any of these, or none."""

    certificate: bytes = b""
    """PEM."""
    key: bytes = field(default=b"", repr=False)
    """PEM."""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    """Read again now and then: service account tokens are renewed."""
    plugin: Plugin | None = None


@dataclass(frozen=True)
class Access:
    """Where an API is, how it proves that it is the right one, and who asks."""

    server: str
    """Its URL, without a slash at the end."""
    authority: bytes
    """PEM of the certificate authority; empty where the machine's own list is meant."""
    server_name: str
    """The name that its certificate must have; empty where it is the URL's host."""
    credentials: Credentials


def read(path: Path, context: str = "") -> Access:
    """What a kubeconfig says of one context, the current one where none is named.

    Raises:
        ConfigurationError: it is not there, is no kubeconfig, or asks for what drkit does not do.
    """
    return _access(path, _document(path, _read(path)), context)


def parse(path: Path, content: bytes, server: str) -> Access:
    """What a server's own kubeconfig says, which never was a file here, for its API under another address.

    Args:
        path: where it is on the server, for messages.
        content: the file.
        server: the API's URL.

    Raises:
        ConfigurationError: it is no kubeconfig.
    """
    return replace(_access(path, _document(path, content), ""), server=server)


def _access(path: Path, document: Mapping[str, Any], context: str) -> Access:
    config = _Reader(path)
    name = context or config.text(document, "current-context")
    if not name:
        raise ConfigurationError(
            f"{path}: current-context: missing", "choose one: kubectl config use-context NAME, for this file"
        )
    chosen = config.named(document, "contexts", "context", name)
    cluster = config.named(document, "clusters", "cluster", config.text(chosen, "cluster"))
    user_name = config.text(chosen, "user")
    user = config.named(document, "users", "user", user_name) if user_name else {}
    server = _server(path, config, cluster)
    return Access(
        server,
        config.data(cluster, "certificate-authority"),
        config.text(cluster, "tls-server-name"),
        _credentials(path, config, user),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"cluster.kubeconfig: {path} is not there", "copy /etc/rancher/k3s/k3s.yaml from a server, mode 0600"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cluster.kubeconfig: {path} cannot be read: {error.strerror}") from None


def _document(path: Path, raw: bytes) -> dict[str, Any]:
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and only needed with a cluster
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - see above

    from drkit import bounded_yaml  # noqa: PLC0415 - see above

    if len(raw) > _LARGEST_BYTES:
        raise ConfigurationError(
            f"cluster.kubeconfig: {path}: larger than {_LARGEST_BYTES} bytes; expected a kubeconfig"
        )
    try:
        found = bounded_yaml.load(raw.decode(), YAML(typ="safe", pure=True))
    except (YAMLError, UnicodeDecodeError):
        # What the parser quotes of a file full of secrets is not repeated.
        raise ConfigurationError(f"cluster.kubeconfig: {path}: expected YAML or JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"cluster.kubeconfig: {path}: expected a kubeconfig (apiVersion: v1, kind: Config)")
    return found


def _server(path: Path, config: _Reader, cluster: Mapping[str, Any]) -> str:
    server = config.text(cluster, "server").rstrip("/")
    try:
        parts = urlsplit(server)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"{path}: clusters: server: {server!r} is no URL") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigurationError(f"{path}: clusters: server: expected https://HOST:PORT, not {server!r}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(
            f"{path}: clusters: server: {server} is not encrypted; expected https, or http on this machine alone"
        )
    if cluster.get("insecure-skip-tls-verify"):
        raise ConfigurationError(
            f"{path}: clusters: insecure-skip-tls-verify: drkit does not talk to a server that it cannot tell apart",
            "put its CA there instead: certificate-authority (k3s: /var/lib/rancher/k3s/server/tls/server-ca.crt)",
        )
    if cluster.get("proxy-url"):
        raise ConfigurationError(f"{path}: clusters: proxy-url: not supported by this version")
    return server


def _credentials(path: Path, config: _Reader, user: Mapping[str, Any]) -> Credentials:
    for unsupported, why in _REFUSED.items():
        if user.get(unsupported):
            raise ConfigurationError(f"{path}: users: {why}")
    certificate, key = config.data(user, "client-certificate"), config.data(user, "client-key")
    if bool(certificate) != bool(key):
        raise ConfigurationError(f"{path}: users: client-certificate and client-key: one of them is missing")
    if key:
        register(key.decode(errors="replace"))
    # As in client-go, a token that stands there and a file with one: the file wins, since it is renewed.
    token_file = config.text(user, "tokenFile")
    token = "" if token_file else register(config.text(user, "token"))
    plugin = config.mapping(user, "exec") if user.get("exec") else None
    return Credentials(
        certificate,
        key,
        token,
        path.parent / token_file if token_file else None,
        _plugin(path, config, plugin) if plugin is not None else None,
    )


def _plugin(path: Path, config: _Reader, plugin: Mapping[str, Any]) -> Plugin:
    command = config.text(plugin, "command")
    api_version = config.text(plugin, "apiVersion")
    if not command or not api_version.startswith("client.authentication.k8s.io/"):
        raise ConfigurationError(
            f"{path}: users: exec: expected command and apiVersion client.authentication.k8s.io/v1"
        )
    if plugin.get("interactiveMode") == "Always":
        raise ConfigurationError(f"{path}: users: exec: {command} asks its user questions; expected one that does not")
    arguments = plugin.get("args") or []
    variables = plugin.get("env") or []
    if not isinstance(arguments, list) or not isinstance(variables, list):
        raise ConfigurationError(f"{path}: users: exec: expected lists under args and env")
    environment = {
        config.text(each, "name"): config.text(each, "value") for each in variables if isinstance(each, dict)
    }
    # With a slash it is a path beside the file; a bare name is looked up on PATH.
    program = str(path.parent / command) if "/" in command else command
    hint = config.text(plugin, "installHint")
    return Plugin((program, *map(str, arguments)), api_version, environment, hint)


class _Reader:
    """Takes values of the expected kind out of an untyped document."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def text(self, mapping: Mapping[str, Any], key: str) -> str:
        """A string; empty where there is none."""
        value = mapping.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ConfigurationError(f"{self._path}: {key}: expected text")
        return value

    def mapping(self, mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """A mapping."""
        value = mapping.get(key)
        if not isinstance(value, dict):
            raise ConfigurationError(f"{self._path}: {key}: expected keys below it")
        return value

    def named(self, document: Mapping[str, Any], section: str, key: str, name: str) -> Mapping[str, Any]:
        """The entry of that name in one of the lists."""
        entries = document.get(section)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("name") == name:
                return self.mapping(entry, key)
        raise ConfigurationError(
            f"{self._path}: {section}: there is none named {name!r}", "look: kubectl config view, for this file"
        )

    def data(self, mapping: Mapping[str, Any], key: str) -> bytes:
        """The bytes that stand there in base64, or in the file that is named; empty where neither is."""
        inline = self.text(mapping, f"{key}-data")
        if inline:
            try:
                return base64.b64decode(inline, validate=True)
            except (ValueError, binascii.Error):
                raise ConfigurationError(f"{self._path}: {key}-data: expected base64") from None
        name = self.text(mapping, key)
        if not name:
            return b""
        file = self._path.parent / name
        try:
            return file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {key}: {file} cannot be read: {error.strerror}") from None
