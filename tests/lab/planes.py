"""Control planes on loopback, for tests that need a real API and no node."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from drkit.cluster.api import connect
from drkit.cluster.transport import ALONE
from drkit.lab.control_plane import control_plane
from tests.exported import export
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Object
    from drkit.lab.control_plane import ControlPlane
    from tests.exported import Exported


class Plane:
    """A cluster without nodes."""

    def __init__(self, running: ControlPlane) -> None:
        self.running = running
        self.api: HttpApi = connect(running.access, ALONE)

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """What kubectl says; it has to succeed."""
        argv = [str(self.running.programs / "kubectl"), f"--kubeconfig={self.running.kubeconfig}", *words]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, objects: Sequence[Object], manager: str = "somebody") -> None:
        """Apply objects as another one than drkit."""
        every = {"kind": "List", "apiVersion": "v1", "items": objects}
        self.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=json.dumps(every))

    def export(self) -> Exported:
        """All of its objects, when its controllers have made those of each namespace."""
        until(self._is_settled, every=0.1)
        return export(self.api)

    def _is_settled(self) -> bool:
        def names(path: str) -> set[str]:
            return {obj["metadata"].get("namespace") or obj["metadata"]["name"] for obj in self.objects(path)}

        return names("/api/v1/namespaces") == names("/api/v1/serviceaccounts")

    def objects(self, path: str) -> list[Object]:
        """The objects of a list."""
        return [item for page in self.api.pages(path) for item in page["items"]]


@contextmanager
def plane() -> Iterator[Plane]:
    """A fresh one."""
    with TemporaryDirectory(prefix="drkit-plane-") as directory, control_plane(Path(directory)) as running:
        yield Plane(running)
