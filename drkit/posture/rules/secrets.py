"""Secrets where everybody reads them. Pure; it names keys, never values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.posture.rules.rule import MEDIUM, Finding, Fix, Rule, Seen, page

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNBOOK: Final = page("secrets")
_WORDS: Final = r"(password|passwd|passphrase|secret|(?:api|private|access)[_.-]?key|token)"
_NAMED: Final = re.compile(rf"(?i)(^|[^a-z]){_WORDS}$")
_LINE: Final = re.compile(rf"(?im)^\s*[\w.-]*{_WORDS}\s*[:=]\s*['\"]?[^\s'\"$<{{]{{6,}}")
_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@$<{]+@")
_REFERENCE: Final = re.compile(r"^\s*(\$|<|\{|/|file:|env:|$)")
_LONGEST: Final = 1024 * 1024


def _secret(key: str, value: str) -> str:
    """Why a value looks like a secret; empty where it does not."""
    if _KEY.search(value):
        return "a private key"
    if _URL.search(value):
        return "an address with a password in it"
    if _NAMED.search(key) and not _REFERENCE.match(value):
        return "a secret, by its name"
    return "a line with a secret, by its name" if _LINE.search(value) else ""


def _exposed(seen: Seen) -> Iterator[Finding]:
    for each in seen.snapshot.of("configmaps"):
        for key, value in sorted(look.mapping(each, "data").items()):
            why = _secret(key, value[:_LONGEST]) if isinstance(value, str) else ""
            if why:
                yield Finding(
                    f"ConfigMap {look.namespace(each)}/{look.name(each)}",
                    f"its key {key!r} holds {why}: whoever may read config maps has it",
                    Fix("move it to a Secret, name that where it is used, and change what was exposed"),
                    data="what the secret opens",
                )


RULES: Final = (Rule("secret-in-configmap", MEDIUM, "A config map holds a secret", _RUNBOOK, _exposed),)
