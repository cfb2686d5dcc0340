"""K3s's token for an escrow, out of recovery points."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.archive import Entry, Writer
from drkit.config import load
from drkit.keys.material import sealed_token
from drkit.points import descriptor as descriptors
from tests.contract.memory_vault import MemoryVault
from tests.contract.streams import stream
from tests.unit import builders
from tests.unit.builders import NOON, source

if TYPE_CHECKING:
    from drkit.config.model import Config

SIGNER = builders.signer()


def configured() -> Config:
    """A cluster whose points are believed."""
    vault = "{url: v, passphrase: {file: p}}"
    text = f"cluster: {{name: docfast}}\nvaults: {{cluster: {vault}}}\ntrusted_keys: ['{SIGNER.public}']\n"
    return load.parse(Path("drkit.yaml"), text, lambda path: Path("/nowhere") / path)


def seal(vault: MemoryVault, created: datetime, node: str, files: dict[str, str]) -> None:
    """A point with one node's files."""
    packed = io.BytesIO()
    writer = Writer(packed.write)
    for name, content in files.items():
        writer.add(Entry(name), content.encode())
    writer.close()
    point = builders.point_id(created)
    with stream(packed.getvalue()) as given:
        stored = vault.store(f"docfast.{point}.server-files-{node}", given, file_name="server-files.tar")
    entry = source(
        f"server-files/{node}",
        vault="cluster",
        archive=stored.archive.name,
        archive_id=stored.archive.archive_id,
        size=stored.size,
        sha256=stored.sha256,
    )
    sealed = builders.descriptor(created, [entry])
    text = descriptors.encode(sealed, SIGNER)
    with stream(text) as given:
        comment = descriptors.encode_summary(sealed, text, SIGNER)
        vault.store(f"docfast.{point}.point", given, file_name="descriptor.json", comment=comment)


def test_the_newest_points_token_is_taken() -> None:
    """Nodes that are no servers have none, and an older point's may have been changed since."""
    vault = MemoryVault("cluster")
    vault.create()
    assert not sealed_token(configured(), {"cluster": vault})
    server = "var/lib/rancher/k3s/server/token"
    seal(vault, NOON, "a", {server: "K10old::server:old\n"})
    seal(vault, NOON + timedelta(hours=1), "a", {server: "K10new::server:new\n"})
    seal(vault, NOON + timedelta(hours=2), "agent", {"etc/rancher/node/password": "x"})
    assert sealed_token(configured(), {"cluster": vault}) == "K10new::server:new"


def test_a_token_that_k3s_was_told_counts_where_no_file_has_it() -> None:
    """A server that was configured with a token keeps it in its configuration too."""
    vault = MemoryVault("cluster")
    vault.create()
    seal(vault, NOON, "a", {"etc/rancher/k3s/config.yaml": "token: told\n"})
    assert sealed_token(configured(), {"cluster": vault}) == "told"
