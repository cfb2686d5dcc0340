"""Samples as Prometheus's text, in a file, at a Pushgateway, or served. Nothing of the process itself is exported."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, exposition, push_to_gateway, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from drkit import state
from drkit.errors import NotDelivered, UsageError
from drkit.observe.metrics.families import FAMILIES
from drkit.observe.metrics.samples import distinct, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prometheus_client import Metric

    from drkit.observe.standing.judge import Standing

_DEADLINE = 30.0
"""For the gateway, seconds."""
JOB = "drkit"


class _Known(Collector):
    """Makes the families of whatever stands at the moment."""

    def __init__(self, standing: Callable[[], Standing]) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        standing = self._standing()
        cluster = standing.known.status.cluster
        found = distinct(samples(standing))
        for family in FAMILIES.values():
            values = [sample for sample in found if sample.name == family.name]
            made = GaugeMetricFamily(family.name, family.help, labels=("cluster", *family.labels))
            for sample in values:
                made.add_metric([cluster, *sample.labels], float(sample.value))
            if values:
                yield made


def registry(standing: Callable[[], Standing]) -> CollectorRegistry:
    """A registry that asks for where the cluster stands each time that it is collected."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Known(standing))
    return made


def text(standing: Standing) -> str:
    """Prometheus's text format."""
    return exposition.generate_latest(registry(lambda: standing)).decode()


def write(standing: Standing, path: Path) -> None:
    """Replace a file for node_exporter's textfile collector: whole or not at all, readable by everybody.

    Raises:
        UsageError: its directory is not there, or its name is one that the collector passes over.
    """
    if path.suffix != ".prom":
        raise UsageError(f"{path}: node_exporter reads files whose names end with .prom alone")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is no directory", "name the one of --collector.textfile.directory")
    state.write_durably(path, text(standing), mode=0o644)


def push(standing: Standing, url: str) -> None:
    """Replace what a Pushgateway knows of this cluster under the job ``drkit``.

    Args:
        standing: where it stands.
        url: the gateway's, without a password: that would be seen by everybody on this machine.

    Raises:
        UsageError: it is no address of a gateway.
        NotDelivered: the gateway refused, or does not answer.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError("--push: expected http://HOST:PORT, or https")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "--push: expected no name and password in the address", "let a proxy before the gateway add them"
        )
    try:
        push_to_gateway(
            url,
            JOB,
            registry(lambda: standing),
            grouping_key={"cluster": standing.known.status.cluster},
            timeout=_DEADLINE,
        )
    except (URLError, OSError, ValueError) as error:
        raise NotDelivered(
            f"the Pushgateway {parts.scheme}://{parts.netloc} did not take the metrics: {error}",
            "see that it runs and is reached from here",
        ) from None


@contextmanager
def served(standing: Callable[[], Standing], address: str, port: int) -> Iterator[int]:
    """Answer whoever asks, for the time of the body; gives the port, which is chosen where 0 was asked for.

    Args:
        standing: asked at each question, so it has to be quick.
        address: where to listen; there is neither password nor TLS.
        port: likewise.

    Raises:
        UsageError: one cannot listen there.
    """
    try:
        server, thread = start_http_server(port, address, registry(standing))
    except (OSError, OverflowError) as error:
        raise UsageError(f"--serve: cannot listen on {address} port {port}: {error}") from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
