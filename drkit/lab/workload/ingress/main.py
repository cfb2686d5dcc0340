"""The stand-in's pod: keeps HAProxy's configuration equal to the cluster's Ingress objects."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from .haproxy import CERTIFICATES, CLASS, certificates, configuration, routes

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONFIG = Path("/run/ingress-stand-in/haproxy.cfg")
_LOOK_SECONDS = 2.0
_ANSWER_SECONDS = 10.0


def say(text: str) -> None:
    """A line in the pod's log."""
    print(f"ingress-stand-in: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a pod's log


class Cluster:
    """The objects that the stand-in reads."""

    def __init__(self) -> None:
        self._context = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._base = f"https://{host}:{port}"

    def get(self, path: str) -> dict[str, Any]:
        """What the API server answers; raises ``OSError`` where it does not, or refuses."""
        token = (_ACCOUNT / "token").read_text().strip()
        request = urllib.request.Request(self._base + path, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS, context=self._context) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found


def wanted(cluster: Cluster) -> tuple[str, dict[str, str]]:
    """The configuration, and the certificates by their file names."""
    ingresses = [
        ingress
        for ingress in cluster.get("/apis/networking.k8s.io/v1/ingresses")["items"]
        if ingress["spec"].get("ingressClassName", CLASS) == CLASS
    ]
    services = {
        (service["metadata"]["namespace"], service["metadata"]["name"]): service
        for service in cluster.get("/api/v1/services")["items"]
    }
    files = {}
    for namespace, name in certificates(ingresses):
        try:
            data = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")["data"]
        except urllib.error.HTTPError:
            continue
        parts = (base64.b64decode(data[key]).decode() for key in ("tls.crt", "tls.key"))
        files[f"{namespace}-{name}.pem"] = "".join(parts)
    return configuration(routes(ingresses, services), tls=bool(files)), files


def write(text: str, files: dict[str, str]) -> None:
    """Put the files where HAProxy reads them."""
    place = Path(CERTIFICATES)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in place.iterdir():
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (place / name).write_text(content)
    _CONFIG.write_text(text)


def main() -> None:
    """Run HAProxy, and let it read each new configuration."""
    say("drkit's stand-in for an ingress controller: HAProxy, and not Traefik")
    cluster = Cluster()
    haproxy: subprocess.Popen[bytes] | None = None
    known: tuple[str, dict[str, str]] | None = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while haproxy is None or haproxy.poll() is None:
        try:
            found = wanted(cluster)
        except OSError as problem:
            # What is known goes on being served.
            say(f"the API server: {problem}")
        else:
            if found != known:
                write(*found)
                known = found
                if haproxy is None:
                    haproxy = subprocess.Popen(["haproxy", "-W", "-db", "-f", str(_CONFIG)])
                else:
                    haproxy.send_signal(signal.SIGUSR2)
                say("a new configuration")
        time.sleep(_LOOK_SECONDS)
    sys.exit("HAProxy has ended")


if __name__ == "__main__":
    main()
