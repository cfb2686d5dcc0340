"""Who drkit says it is, kept fresh: tokens in files are renewed, plugins are asked again."""

from __future__ import annotations

import json
import os
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.clock import from_text
from drkit.errors import ConfigurationError
from drkit.masking import register

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.clock import Clock
    from drkit.cluster.kubeconfig import Access, Plugin

_PLUGIN_SECONDS = 60.0
_TOKEN_FILE_SECONDS = 60.0
"""client-go reads a token's file again after this time too."""


@dataclass(frozen=True)
class _Fetched:
    """A token or certificate, and until when it serves."""

    token: str = field(default="", repr=False)
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    expires: datetime | None = None
    read_again: float | None = None
    """By the monotonic clock."""


class Identity:
    """The credentials in force now. Safe to use from several threads."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._lock = threading.Lock()
        self._fetched: _Fetched | None = None

    @property
    def renewable(self) -> bool:
        """Whether asking again may give others."""
        return self._access.credentials.token_file is not None or self._access.credentials.plugin is not None

    def forget(self) -> None:
        """They were refused: ask again the next time."""
        with self._lock:
            self._fetched = None

    def headers(self) -> dict[str, str]:
        """What each request carries.

        Raises:
            ConfigurationError: they cannot be had.
        """
        token = self._current().token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def context(self) -> ssl.SSLContext:
        """The settings of TLS: whom to trust, and the client's certificate.

        Raises:
            ConfigurationError: a certificate or key is none, or they do not belong together.
        """
        authority = self._access.authority
        try:
            context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
        except (ssl.SSLError, ValueError):
            raise ConfigurationError(f"certificate-authority of {self._access.server}: expected PEM") from None
        # Clusters' own authorities often lack the key identifiers that newer Pythons ask for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        current = self._current()
        if current.certificate:
            try:
                _load_pair(context, current.certificate, current.key)
            except (ssl.SSLError, ValueError):
                raise ConfigurationError(
                    f"client-certificate and client-key for {self._access.server}: expected a pair, in PEM"
                ) from None
        return context

    def _current(self) -> _Fetched:
        with self._lock:
            if self._fetched is None or self._is_stale(self._fetched):
                self._fetched = self._fetch()
            return self._fetched

    def _is_stale(self, fetched: _Fetched) -> bool:
        if fetched.read_again is not None and self._clock.monotonic() >= fetched.read_again:
            return True
        return fetched.expires is not None and self._clock.now() >= fetched.expires

    def _fetch(self) -> _Fetched:
        known = self._access.credentials
        if known.token_file is not None:
            try:
                token = known.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"tokenFile: {known.token_file} cannot be read: {error}") from None
            again = self._clock.monotonic() + _TOKEN_FILE_SECONDS
            return _Fetched(register(token), known.certificate, known.key, read_again=again)
        if known.plugin is not None and not known.token and not known.certificate:
            return _ask(known.plugin)
        return _Fetched(known.token, known.certificate, known.key)


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads keys from files alone: this one exists in memory only."""
    descriptor = os.memfd_create("client-certificate")
    try:
        view = memoryview(certificate.rstrip() + b"\n" + key)
        while view:
            view = view[os.write(descriptor, view) :]
        # A key with a passphrase would be asked for on the terminal; an empty answer makes it an error.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: b"")
    finally:
        os.close(descriptor)


def _ask(plugin: Plugin) -> _Fetched:
    request = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    # What else is in drkit's own environment is not the plugin's: its kubeconfig says under env what it needs.
    env = {
        **process.clean_environment(),
        **plugin.environment,
        "KUBERNETES_EXEC_INFO": json.dumps(request, separators=(",", ":")),
    }
    name = plugin.argv[0]
    try:
        done = process.run(plugin.argv, deadline=_PLUGIN_SECONDS, env=env)
    except FileNotFoundError:
        raise ConfigurationError(f"the credential plugin {name} is not there", plugin.hint) from None
    except (OSError, process.DeadlineExceeded) as error:
        raise ConfigurationError(f"the credential plugin {name} failed: {error}") from None
    if done.status != 0:
        raise ConfigurationError(
            f"the credential plugin {name} exited with {done.status}: {process.tail(done.stderr)}", plugin.hint
        )
    return _credential(name, done.stdout)


def _credential(name: str, printed: bytes) -> _Fetched:
    try:
        status: dict[str, Any] = json.loads(printed)["status"]
        expires = status.get("expirationTimestamp")
        fetched = _Fetched(
            register(status.get("token") or ""),
            (status.get("clientCertificateData") or "").encode(),
            register(status.get("clientKeyData") or "").encode(),
            from_text(expires) if expires else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(f"the credential plugin {name} printed no ExecCredential with a status") from None
    if not fetched.token and not (fetched.certificate and fetched.key):
        raise ConfigurationError(f"the credential plugin {name} gave neither a token nor a certificate with its key")
    return fetched
