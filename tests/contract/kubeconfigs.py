"""A kubeconfig that leads to the API in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def kubeconfig(directory: Path, url: str) -> Path:
    """Such a file."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "default",
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "clusters": [{"name": "default", "cluster": {"server": url}}],
        "users": [{"name": "default", "user": {"token": "of-the-test"}}],
    }
    file = directory / "kubeconfig"
    file.write_text(json.dumps(document))
    file.chmod(0o600)
    return file
