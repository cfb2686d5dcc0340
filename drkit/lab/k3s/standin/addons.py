"""What k3s deploys by itself: every file in ``server/manifests``, its own packaged ones among them."""

from __future__ import annotations

import hashlib
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

from . import VERSION, log, paths
from .kube import ApiError
from .problem import Fatal
from .processes import run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .kube import Kube
    from .settings import Settings

PACKAGED = {"rolebindings": "rolebindings.yaml", "coredns": "coredns.yaml", "local-storage": "local-storage.yaml"}
"""By the name that ``disable:`` takes."""

_ADDONS = "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons"
_SUFFIXES = (".yaml", ".yml", ".json")


def render(text: str, settings: Settings, resolvers: Iterable[str]) -> str:
    """Fill in a packaged manifest. Without a name server that pods can reach, CoreDNS forwards nothing."""
    listed = " ".join(resolvers)
    forward = f"        forward . {listed}" if listed else ""
    filled = text.replace("@DOMAIN@", settings.cluster_domain).replace("@CLUSTER_DNS@", settings.cluster_dns)
    filled = filled.replace("@VERSION@", VERSION)
    return filled.replace("    @FORWARD@\n", f"{forward}\n" if forward else "")


def write_packaged(settings: Settings, resolvers: Iterable[str]) -> list[Path]:
    """Put the packaged manifests into ``server/manifests``; those disabled are removed, and returned."""
    paths.MANIFESTS.mkdir(mode=0o700, parents=True, exist_ok=True)
    disabled = []
    names = list(resolvers)
    for name, file in PACKAGED.items():
        path = paths.MANIFESTS / file
        if name in settings.disable:
            if path.exists():
                disabled.append(path)
            continue
        text = render(packaged_text(file), settings, names)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o600)
    return disabled


def packaged_text(file: str) -> str:
    """A manifest as it is packaged."""
    return (resources.files(__package__) / "packaged" / file).read_text(encoding="utf-8")


def wanted(files: Iterable[str]) -> list[str]:
    """Of the names in the directory, those to deploy: manifests without a ``.skip`` file beside them."""
    present = set(files)
    return sorted(name for name in present if name.endswith(_SUFFIXES) and f"{name}.skip" not in present)


class Deployer:
    """Deploys everything once, and then what has changed since it was deployed last, by anyone.

    Both as k3s does (pkg/deploy/controller.go): its first round after a start does not ask whether anything has
    changed, so that a restart is enough to undo what somebody changed in the cluster. The checksum of what was deployed
    lies in an Addon object.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._failed: dict[str, str] = {}
        self._deployed: set[str] = set()

    def prepare(self) -> None:
        """Make the API server know Addon objects.

        Raises:
            Fatal: it does not take them; likewise below.
        """
        _kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], packaged_text("addon-crd.yaml"))
        _kubectl(["wait", "--for=condition=Established", "--timeout=60s", "crd/addons.k3s.cattle.io"])

    def remove(self, path: Path) -> None:
        """Take back a packaged manifest that is disabled now."""
        log.info(f"Removing the disabled {path.name}")
        _kubectl(["delete", "--ignore-not-found", "--wait=false", "-f", str(path)])
        path.unlink()
        _kubectl(["-n", "kube-system", "delete", "--ignore-not-found", "addons.k3s.cattle.io", _addon_name(path)])

    def refresh(self) -> None:
        """Compare every manifest with what was deployed.

        Raises:
            ApiError: the API server does not answer.
        """
        for name in wanted(path.name for path in paths.MANIFESTS.iterdir()):
            path = paths.MANIFESTS / name
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            known = self._kube.get(f"{_ADDONS}/{_addon_name(path)}")
            if name in self._deployed and known is not None and known["spec"].get("checksum") == checksum:
                continue
            self._deploy(path, checksum, known=known is not None)

    def _deploy(self, path: Path, checksum: str, *, known: bool) -> None:
        try:
            _kubectl(["apply", "--server-side", "--force-conflicts", "--field-manager=deploy@k3s", "-f", str(path)])
        except Fatal as problem:
            # Tried again at each round, as a custom resource whose definition comes later needs; told once.
            if self._failed.get(str(path)) != str(problem):
                log.error(f"Failed to process config: failed to process {path}: {problem}")
                self._failed[str(path)] = str(problem)
            return
        log.info(f"Applied manifest {path}")
        self._deployed.add(path.name)
        spec = {"source": str(path), "checksum": checksum}
        if known:
            self._kube.patch(f"{_ADDONS}/{_addon_name(path)}", {"spec": spec})
        else:
            self._kube.create(
                _ADDONS,
                {
                    "apiVersion": "k3s.cattle.io/v1",
                    "kind": "Addon",
                    "metadata": {"name": _addon_name(path), "namespace": "kube-system"},
                    "spec": spec,
                },
            )


def _addon_name(path: Path) -> str:
    return path.stem.lower().replace("_", "-")


def _kubectl(arguments: list[str], stdin: str | None = None) -> None:
    run([paths.program("kubectl"), f"--kubeconfig={paths.KUBECONFIG}", *arguments], stdin)


def node_hosts(nodes: Iterable[dict[str, Any]]) -> str:
    """The names of nodes, for CoreDNS, in the form of /etc/hosts."""
    lines = []
    for node in nodes:
        addresses = {entry["type"]: entry["address"] for entry in node.get("status", {}).get("addresses", [])}
        if "InternalIP" in addresses:
            lines.append(f"{addresses['InternalIP']} {node['metadata']['name']}")
    return "".join(f"{line}\n" for line in sorted(lines))


def wait_for_prepare(deployer: Deployer) -> None:
    """Prepare, however long the API server takes to accept definitions."""
    while True:
        try:
            deployer.prepare()
        except (Fatal, ApiError) as problem:
            log.warning(f"Waiting for the API server to accept addons: {problem}")
            time.sleep(2.0)
        else:
            return
