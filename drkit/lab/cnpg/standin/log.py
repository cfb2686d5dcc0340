"""Lines in the pod's log."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """One line; the kubelet adds the time."""
    print(f"cnpg-stand-in: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a pod's log is its standard error
