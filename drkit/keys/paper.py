"""An encrypted bundle as lines that people and scanners can read: numbered, grouped, each with a checksum. Pure.

A line is ``12/85: YWdl LWVu Y3J5 … - 9f3c``: its number and how many there are, characters of age's armor in groups,
and the CRC-16 (CCITT) of numbers and characters, in hexadecimal digits. There is no hyphen in the armor, so the
checksum is found again.
"""

from __future__ import annotations

import binascii
import re

from drkit.errors import VerificationFailed
from drkit.keys import age

_GROUP = 8
_LINE = re.compile(
    r"^\s*(\d{1,5})\s*/\s*(\d{1,5})\s*:\s*([A-Za-z0-9+/= \t]+?)\s*-\s*([0-9a-fA-F]{4})\s*$", re.MULTILINE
)
_SHOWN = 20


def lines(armored: str) -> list[str]:
    """The lines of a bundle's text, without age's own first and last one."""
    body = armored.removeprefix(age.BEGIN).strip().removesuffix(age.END).split()
    found = []
    for number, text in enumerate(body, 1):
        groups = " ".join(text[begin : begin + _GROUP] for begin in range(0, len(text), _GROUP))
        found.append(f"{number:3}/{len(body)}: {groups} - {_checksum(number, len(body), text)}")
    return found


def _checksum(number: int, count: int, text: str) -> str:
    return f"{binascii.crc_hqx(f'{number}/{count}:{text}'.encode(), 0xFFFF):04x}"


def is_paper(text: str) -> bool:
    """Whether there are such lines in it."""
    return _LINE.search(text) is not None


def read(text: str) -> str:
    """The bundle's text again, from lines that were typed or scanned; what stands around them does not matter.

    Raises:
        VerificationFailed: lines are missing, or not as they were printed; all of them are named.
    """
    found: dict[int, str] = {}
    counts: set[int] = set()
    for number, count, groups, checksum in _LINE.findall(text):
        plain = "".join(groups.split())
        if _checksum(int(number), int(count), plain) == checksum.lower():
            found[int(number)] = plain
            counts.add(int(count))
    if len(counts) != 1:
        raise VerificationFailed(
            "these are the lines of several pages" if counts else "not one line is as it was printed",
            "give the lines of one page, and mind 0 and O, 1 and l and I",
        )
    count = counts.pop()
    wrong = sorted(set(range(1, count + 1)) - found.keys())
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise VerificationFailed(
            f"of {count} lines are missing or misread: {', '.join(map(str, wrong[:_SHOWN]))}{more}",
            "compare these with the page, and mind 0 and O, 1 and l and I",
        )
    return "\n".join([age.BEGIN, *(found[number] for number in range(1, count + 1)), age.END, ""])
