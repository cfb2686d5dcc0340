"""Texts as YAML: names come from the cluster and the provider, and must be nothing but names in the file. Pure."""

from __future__ import annotations

import re

from drkit.observe.text import printable

_PLAIN = re.compile(r"[A-Za-z/~][A-Za-z0-9._/-]*")
# What YAML 1.1 or 1.2 reads as something else than text.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"})
_ESCAPED = {'"': '\\"', "\\": "\\\\"}
_ONE_BYTE, _TWO_BYTES = 0xFF, 0xFFFF
_SURROGATES = range(0xD800, 0xE000)


def scalar(text: object) -> str:
    """A text as one YAML scalar, in quotes where it needs them. Half a surrogate pair is no character, and replaced."""
    plain = str(text)
    if _PLAIN.fullmatch(plain) and plain.lower() not in _WORDS:
        return plain
    return f'"{"".join(map(_escaped, plain))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    code = ord(character)
    if code in _SURROGATES:
        return "\N{REPLACEMENT CHARACTER}"
    if character.isprintable():
        return character
    if code <= _ONE_BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _TWO_BYTES else f"\\U{code:08x}"


def remark(text: str) -> str:
    """A text as a comment of one line."""
    return "# " + printable(" ".join(text.split()))
