"""A control plane without nodes: etcd, API server and controller manager as processes on loopback, no container.

It is upstream Kubernetes, built for the lab's k3s (``drkit.lab.k3s.build``), and takes every object; nothing runs.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from drkit import process
from drkit.clock import SystemClock
from drkit.cluster.kubeconfig import Access, Credentials
from drkit.cluster.transport import Transport
from drkit.errors import DrkitError, KubeUnreachable
from drkit.lab.k3s import build, recipe
from drkit.lab.ports import free_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

_API: Final = "kube-apiserver"
_CERTIFICATE: Final = "tls/apiserver.crt"
"""Made by the API server for itself."""
SERVICES: Final = "10.43.0.0/16"
_START_SECONDS: Final = 120.0
_GLANCE_SECONDS: Final = 0.05
_ADMINISTRATORS: Final = "system:masters"
_ISSUER: Final = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class ControlPlane:
    """A running one.

    Attributes:
        kubeconfig: of its administrator.
        access: the same, as a value.
        programs: a directory with ``kubectl`` and the components.
    """

    kubeconfig: Path
    access: Access
    programs: Path
    _processes: _Processes

    @property
    def pids(self) -> dict[str, int]:
        """The process of each component."""
        return self._processes.pids()

    def stop_api(self) -> None:
        """Kill the API server, as a crash does."""
        self._processes.kill(_API)

    def start_api(self) -> None:
        """Start it again, and return when it answers."""
        self._processes.start(_API)
        _wait(self)


class _Processes:
    """The components, each by its name."""

    def __init__(self, directory: Path, arguments: dict[str, list[str]]) -> None:
        self._directory, self._arguments = directory, arguments
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        with (self._directory / f"{name}.log").open("ab") as log:
            self._running[name] = process.spawn(
                [str(self._directory / "programs" / name), *self._arguments[name]],
                env=process.clean_environment(),
                cwd=str(self._directory),
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        self._running[name].kill()
        process.stop(self._running.pop(name))

    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._running.items()}

    def ended(self) -> str:
        """The name and last words of one that ended; empty while all run."""
        for name, child in self._running.items():
            if child.poll() is not None:
                said = (self._directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                return f"{name} ended\n{process.tail(said)}"
        return ""

    def stop(self) -> None:
        for child in reversed(self._running.values()):
            process.stop(child)


@contextmanager
def control_plane(directory: Path) -> Iterator[ControlPlane]:
    """One of its own, for the time of the body; about three seconds once its program is built.

    Args:
        directory: an existing one for its files, which hold its keys; the caller removes it.

    Raises:
        PreflightFailed: the program is not built and cannot be.
        DrkitError: a component did not start.
    """
    kubernetes = next(module for module in recipe.modules() if module.name == "kubernetes")
    program = build.build(lambda _: None, modules=[kubernetes]).programs["kubernetes"]
    directory.chmod(0o700)
    (directory / "programs").mkdir()
    for name in recipe.COMPONENTS:
        (directory / "programs" / name).symlink_to(program)
    ports = free_port(), free_port(), free_port()
    token = _write_credentials(directory, ports[2])
    processes = _Processes(directory, _arguments(directory, *ports))
    with ExitStack() as stack:
        stack.callback(processes.stop)
        processes.start("etcd")
        processes.start(_API)
        _wait_for(directory / "tls/apiserver.crt", processes)
        access = Access(
            f"https://127.0.0.1:{ports[2]}",
            (directory / "tls/apiserver.crt").read_bytes(),
            "",
            Credentials(token=token),
        )
        made = ControlPlane(directory / "kubeconfig", access, directory / "programs", processes)
        _wait(made)
        processes.start("kube-controller-manager")
        _wait(made, "/api/v1/namespaces/default/serviceaccounts/default")
        yield made


def _write_credentials(directory: Path, port: int) -> str:
    """The administrator's token, which is returned, and the key of service accounts."""
    token = secrets.token_urlsafe(24)
    _private(directory / "tokens.csv", f'{token},admin,admin,"{_ADMINISTRATORS}"\n'.encode())
    key = rsa.generate_private_key(65537, 2048)
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    _private(directory / "accounts.key", key.private_bytes(pem, private, serialization.NoEncryption()))
    named = {"name": "lab"}
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(directory / _CERTIFICATE)}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{**named, "cluster": cluster}],
        "users": [{**named, "user": {"token": token}}],
        "contexts": [{**named, "context": {"cluster": "lab", "user": "lab"}}],
        "current-context": "lab",
    }
    _private(directory / "kubeconfig", json.dumps(kubeconfig).encode())
    return token


def _private(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _arguments(directory: Path, client: int, peer: int, api: int) -> dict[str, list[str]]:
    key = directory / "accounts.key"
    return {
        "etcd": [
            f"--data-dir={directory}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",  # it never outlives its directory
            "--log-level=error",
        ],
        _API: [
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={api}",
            f"--cert-dir={directory}/tls",
            f"--token-auth-file={directory}/tokens.csv",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={SERVICES}",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            # The service kubernetes may not lead to loopback.
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            "--profiling=false",
        ],
        "kube-controller-manager": [
            f"--kubeconfig={directory}/kubeconfig",
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={directory}/{_CERTIFICATE}",
            "--leader-elect=false",
            "--secure-port=0",
            "--profiling=false",
        ],
    }


def _wait_for(path: Path, processes: _Processes) -> None:
    until = time.monotonic() + _START_SECONDS
    while not path.exists():
        _go_on(processes, until)


def _wait(plane: ControlPlane, path: str = "/readyz") -> None:
    transport = Transport(plane.access, SystemClock())
    until = time.monotonic() + _START_SECONDS
    while not _answers(transport, path):
        _go_on(plane._processes, until)  # noqa: SLF001 - of this module
    transport.close()


def _answers(transport: Transport, path: str) -> bool:
    try:
        return transport.request("GET", path, headers={}, patient=False).status == HTTPStatus.OK
    except KubeUnreachable:
        return False


def _go_on(processes: _Processes, until: float) -> None:
    ended = processes.ended()
    if ended or time.monotonic() > until:
        raise DrkitError(f"the lab's control plane did not start: {ended or 'it does not answer'}")
    time.sleep(_GLANCE_SECONDS)  # nobody is told when a server is ready, other than by its answer
