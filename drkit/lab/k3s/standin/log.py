"""Log lines in the form that k3s writes them, so that whoever greps for them finds them."""

from __future__ import annotations

import json
import sys
import time


def info(message: str) -> None:
    """Something happened as it should."""
    _write("info", message)


def warning(message: str) -> None:
    """Something is odd; k3s goes on."""
    _write("warning", message)


def error(message: str) -> None:
    """Something failed and will be tried again."""
    _write("error", message)


def fatal(message: str) -> None:
    """Something stops k3s."""
    _write("fatal", message)


def _write(level: str, message: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(f'time="{stamp}" level={level} msg={json.dumps(message)}\n')
    sys.stderr.flush()
