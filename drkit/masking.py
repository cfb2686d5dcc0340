"""Keeps secrets out of everything that is printed, logged or reported.

The register is one for the process on purpose: a secret must be masked wherever it surfaces, in another program's
last words or in a traceback too, and no caller may be able to forget to pass it along.
"""

from __future__ import annotations

import json
from typing import Final

_MASK: Final = "***"
_SHORTEST: Final = 4
"""Shorter values would blank out ordinary words; a passphrase of under four characters is no secret."""

_secrets: set[str] = set()


def register(secret: str) -> str:
    """Remember ``secret`` as something to mask, and return it unchanged."""
    if len(secret) >= _SHORTEST:
        # As it is, and as a JSON document shows it.
        _secrets.update((secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]))
    return secret


def mask(text: str) -> str:
    """``text`` with every registered secret replaced, longest first so that none shows through another."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text
