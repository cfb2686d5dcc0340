"""Times and sizes, as people write them: ``0.2``, ``200ms``, ``15s``, ``2m``; ``64Mi``, ``1Gi``. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from drkit.config.times import LENGTH, length

_SIZES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SIZE = re.compile(rf"([0-9]{{1,15}}) ?({'|'.join(_SIZES)})")
LONGEST_SECONDS = 86400.0
LARGEST_BYTES = 2**50


def seconds(value: Any) -> float:
    """How many seconds a number, or a text such as ``15s``, stands for.

    Raises:
        ValueError: it is neither, or not between 0 and a day.
    """
    found = length(value)
    if found is None or not 0 <= found <= LONGEST_SECONDS:
        raise ValueError("expected a time up to a day, in seconds or such as 15s, 200ms, 2m")
    return found


def whole_bytes(value: Any) -> int:
    """How many bytes a number, or a text such as ``64Mi``, stands for.

    Raises:
        ValueError: it is neither, or below 0, or more than any disk has.
    """
    found: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        found = int(match[1]) * _SIZES[match[2]]
    if found is None or not 0 <= found <= LARGEST_BYTES:
        raise ValueError("expected a number of bytes, or such as 64Mi, 1Gi")
    return found


def _more_than_nothing(value: float) -> float:
    if value <= 0:
        raise ValueError("expected more than 0 seconds")
    return value


_TIME_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": LONGEST_SECONDS},
        {"type": "string", "pattern": f"^(?:{LENGTH})$"},
    ]
}
_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": LARGEST_BYTES},
        {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
    ]
}

Seconds = Annotated[float, BeforeValidator(seconds), WithJsonSchema(_TIME_SCHEMA)]
SomeSeconds = Annotated[Seconds, AfterValidator(_more_than_nothing)]
Bytes = Annotated[int, BeforeValidator(whole_bytes), WithJsonSchema(_SIZE_SCHEMA)]
