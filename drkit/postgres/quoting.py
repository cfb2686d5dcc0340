"""Names and values in statements, for servers with which no library speaks: psql in a pod. Pure.

https://www.postgresql.org/docs/17/sql-syntax-lexical.html says how each is written.
"""

from __future__ import annotations


def identifier(name: str) -> str:
    """A name in double quotes, so that it can hold anything.

    Raises:
        ValueError: no name has a NUL in it.
    """
    return '"' + _whole(name).replace('"', '""') + '"'


def literal(value: str | int) -> str:
    """A text or a whole number. A text with backslashes means the same under every ``standard_conforming_strings``.

    Raises:
        ValueError: no text has a NUL in it.
    """
    if isinstance(value, int):
        return str(value)
    quoted = "'" + _whole(value).replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def _whole(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL in a name or a text of PostgreSQL's")
    return text
