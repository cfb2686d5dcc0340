"""JSON values as YAML that readers of YAML 1.1 and 1.2 understand alike. Pure.

Libraries' emitters write for one of the two: what PyYAML leaves bare (``1e3``, ``0o17``) is a number to a reader of
1.2, and what is text to that one (``no``, ``12:30``) is none to a reader of 1.1. Here everything is quoted that is not
beyond doubt: text is left bare where it begins with a letter and is no word that any reader takes for a value.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BARE: Final = re.compile(
    r"(?:[A-Za-z/](?:[A-Za-z0-9_./()=+-]|:(?=[A-Za-z0-9_./])| (?=[A-Za-z0-9_./(]))*|[0-9]+(?:[KMGT]i|[msh]))\Z"
)
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_LONGEST_WORD: Final = 5
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
"""What a YAML stream must not hold, or breaks lines at, and JSON leaves as it is."""
_NOT_LITERAL: Final = re.compile("[\x00-\x08\x0b-\x1f]|" + _UNPRINTABLE.pattern)
_LONGEST_KEY: Final = 120
"""A key on one line with its value has at most 1024 characters (YAML 1.2, 7.4.2), escapes included."""


def emit(value: Mapping[str, Any]) -> str:
    """A document of at least one key, sorted, as ``kubectl get -o yaml`` has them.

    Raises:
        RecursionError: it is nested deeper than any object that an API server takes.
    """
    out: list[str] = []
    _mapping(value, "", out, "")
    return "".join(out)


def _mapping(value: Mapping[str, Any], pad: str, out: list[str], first: str) -> None:
    """Its lines, each behind ``pad``, the first one behind ``first``."""
    for key in sorted(value):
        name = _text(key)
        if len(name) > _LONGEST_KEY:
            name = f"? {name}\n{pad}"
        _behind(f"{first}{name}:", value[key], pad, out)
        first = pad


def _behind(start: str, item: Any, pad: str, out: list[str]) -> None:
    """What stands behind a key."""
    if item.__class__ is dict and item:
        out.append(start + "\n")
        _mapping(item, pad + "  ", out, pad + "  ")
    elif item.__class__ is list and item:
        out.append(start + "\n")
        _sequence(item, pad, out, pad)
    elif item.__class__ is str and "\n" in item and (block := _literal(item, pad + "  ")):
        out.append(f"{start} {block}")
    else:
        out.append(f"{start} {_scalar(item)}\n")


def _sequence(value: Sequence[Any], pad: str, out: list[str], first: str) -> None:
    for item in value:
        if item.__class__ is dict and item:
            _mapping(item, pad + "  ", out, first + "- ")
        elif item.__class__ is list and item:
            _sequence(item, pad + "  ", out, first + "- ")
        elif item.__class__ is str and "\n" in item and (block := _literal(item, pad + "  ")):
            out.append(f"{first}- {block}")
        else:
            out.append(f"{first}- {_scalar(item)}\n")
        first = pad


def _scalar(value: Any) -> str:
    if value.__class__ is str:
        return _text(value)
    if value.__class__ is float:
        return _number(value)
    # Numbers, true, false, null, and what is empty, are the same in both.
    return json.dumps(value)


def _number(value: float) -> str:
    """A reader of YAML 1.1 takes no number for one that has an exponent and no point."""
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text


def _text(value: str) -> str:
    if _BARE.match(value) and (len(value) > _LONGEST_WORD or value.lower() not in _WORDS):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted if quoted.isascii() and "\x7f" not in quoted else _UNPRINTABLE.sub(_escape, quoted)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _literal(value: str, pad: str) -> str:
    """A block of lines as they are; empty where that would not bring back the same text."""
    if value[0] in " \t\n" or _NOT_LITERAL.search(value):
        return ""
    body = value.rstrip("\n")
    if body[-1] in " \t":
        return ""
    newlines = len(value) - len(body)
    keep = ("-", "", "+")[min(newlines, 2)]
    lines = "\n".join([pad + line if line else "" for line in body.split("\n")])
    return f"|{keep}\n{lines}\n" + "\n" * (newlines - 1)
