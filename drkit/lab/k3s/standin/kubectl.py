"""``k3s kubectl``: upstream's kubectl, as the administrator of the node's own server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from . import paths

if TYPE_CHECKING:
    from collections.abc import Sequence


def become(arguments: Sequence[str]) -> NoReturn:
    """Go on as kubectl with these arguments."""
    environment = {"KUBECONFIG": str(paths.KUBECONFIG), **os.environ}
    os.execve(paths.program("kubectl"), ["kubectl", *arguments], environment)  # noqa: S606 - it replaces this program
