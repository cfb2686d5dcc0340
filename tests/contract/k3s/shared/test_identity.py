"""The cluster's identity: its token, its CA, and what a server does when they disagree with its datastore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import SECRET
from tests.contract.k3s.nodes import CONFIG, until

if TYPE_CHECKING:
    from tests.contract.k3s.nodes import Node


# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]


def test_the_token_pins_the_ca(server: Node) -> None:
    """The token file holds K10, the hash of the CA, the user and the secret, for root's eyes alone."""
    digest = server.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt").split()[0]
    assert server.sh("cat /var/lib/rancher/k3s/server/token") == f"K10{digest}::server:{SECRET}"
    assert server.sh("stat -c %a /var/lib/rancher/k3s/server/token /etc/rancher/k3s/k3s.yaml") == "600\n600"


def test_a_start_with_another_token_is_refused(server: Node) -> None:
    """A server whose configured token is not the datastore's does not start."""
    settings = server.sh(f"cat {CONFIG}")
    server.stop()
    try:
        server.write(CONFIG, settings.replace(SECRET, "another-token"))
        server.start()
        until(
            lambda: "bootstrap data already found and encrypted with different token" in server.log(),
            what="the refusal",
        )
    finally:
        server.stop()
        server.write(CONFIG, settings)
        server.start()
        until(lambda: "srv1" in server.ready_nodes(), what="the server's return")


def test_files_newer_than_the_datastore_stop_the_server(server: Node) -> None:
    """A CA on disk that differs from the datastore's and is newer stops the server; removed, it is written again."""
    path = "/var/lib/rancher/k3s/server/tls/request-header-ca.crt"
    server.stop()
    server.sh(
        f"cp -p {path} /var/tmp/kept && cp --no-preserve=all /var/lib/rancher/k3s/server/tls/client-ca.crt {path}"
    )
    server.start()
    until(lambda: f"{path} newer than datastore" in server.log(), what="the refusal")
    server.stop()
    server.sh(f"rm {path}")
    server.start()
    until(lambda: "srv1" in server.ready_nodes(), what="the server's return")
    server.sh(f"cmp {path} /var/tmp/kept")
