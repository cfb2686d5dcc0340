"""An encrypted bundle as lines that people and scanners can read: numbered, grouped, each with a checksum. Pure.

A line is ``12: YWdl LWVu Y3J5 … - 9f3c``: its number, characters of age's armor in groups, and the CRC-16 (CCITT) of
number and characters, in hexadecimal digits. There is no hyphen in the armor, so the checksum is found again.
"""

from __future__ import annotations

import binascii
import re

from drkit.errors import VerificationFailed
from drkit.keys import age

_GROUP = 8
_LINE = re.compile(r"^\s*(\d{1,5})\s*:\s*([A-Za-z0-9+/= \t]+?)\s*-\s*([0-9a-fA-F]{4})\s*$", re.MULTILINE)
_SHOWN = 20


def lines(armored: str) -> list[str]:
    """The lines of a bundle's text, without age's own first and last one."""
    found = []
    body = armored.removeprefix(age.BEGIN).strip().removesuffix(age.END).split()
    for number, text in enumerate(body, 1):
        groups = " ".join(text[begin : begin + _GROUP] for begin in range(0, len(text), _GROUP))
        found.append(f"{number:3}: {groups} - {_checksum(number, text)}")
    return found


def _checksum(number: int, text: str) -> str:
    return f"{binascii.crc_hqx(f'{number}:{text}'.encode(), 0xFFFF):04x}"


def is_paper(text: str) -> bool:
    """Whether there are such lines in it."""
    return _LINE.search(text) is not None


def read(text: str) -> str:
    """The bundle's text again, from lines that were typed or scanned; what stands around them does not matter.

    Raises:
        VerificationFailed: lines are missing, or not as they were printed; all of them are named.
    """
    found: dict[int, str] = {}
    wrong: set[int] = set()
    for number_text, groups, checksum in _LINE.findall(text):
        number, plain = int(number_text), "".join(groups.split())
        if _checksum(number, plain) == checksum.lower():
            found[number] = plain
        else:
            wrong.add(number)
    wrong -= found.keys()
    last = max(found.keys() | wrong)
    missing = set(range(1, last + 1)) - found.keys() - wrong
    if wrong or missing:
        said = [f"{what}: {_shown(numbers)}" for what, numbers in (("misread", wrong), ("missing", missing)) if numbers]
        raise VerificationFailed(
            f"of {last} lines are {'; '.join(said)}", "compare these with the page, and mind 0 and O, 1 and l and I"
        )
    return "\n".join([age.BEGIN, *(found[number] for number in range(1, last + 1)), age.END, ""])


def _shown(numbers: set[int]) -> str:
    listed = sorted(numbers)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(map(str, listed[:_SHOWN])) + more
