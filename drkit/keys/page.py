"""An escrow for the drawer, as one HTML page that needs nothing else: no script, no font, nothing from elsewhere. Pure.

What is on it is encrypted, all but what names no secret: where the vaults are, what is kept, how it is opened.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.keys import paper
from drkit.keys.instructions import steps
from drkit.observe.text import markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.keys.bundle import Material

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_LINES = "LINES.txt"


def html(material: Material, recipients: Sequence[str], made: str, armored: str) -> str:
    """The page.

    Args:
        material: what was encrypted; its names are shown, and nothing of its contents.
        recipients: who can open it.
        made: when, UTC.
        armored: the encrypted bundle as text.
    """
    return "\n".join(_page(material, recipients, made, armored)) + "\n"


def _page(material: Material, recipients: Sequence[str], made: str, armored: str) -> Iterator[str]:
    title = f"Escrow of the cluster {markup(material.cluster)}"
    yield f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>"
    yield f"<p>Made {markup(made)}. With this page <b>and</b> one of its identities the backups are opened.</p>"
    yield '<p>The identity is kept at: <span class="write">&nbsp;</span></p>'
    printed = paper.lines(armored)
    yield from _steps(len(printed))
    yield from _table(
        "The vaults",
        ("vault", "address", "Borg's repository"),
        (
            (each.name, each.url, f"{each.repository_id} {each.encryption}".strip() or "none yet")
            for each in material.vaults
        ),
    )
    yield from _list("The identities that open it are those of", recipients)
    yield from _list("In it", (f"{each.name}: {each.what}" for each in material.items))
    yield from _list("Not in it", (f"{each.name}: {each.why}" for each in material.missing))
    yield f"<h2>The bundle, {len(printed)} lines</h2>"
    sha256 = hashlib.sha256(armored.encode()).hexdigest()
    yield f"<p>SHA-256 of the whole, as drkit keeps it in its record: <code>{sha256}</code></p>"
    yield '<pre class="lines">'
    yield from printed
    yield "</pre>\n</main>\n</body>\n</html>"


def _steps(count: int) -> Iterator[str]:
    """What a person can do with paper: have it read, correct what was misread, and only at the worst type it."""
    yield "<h2>What to do with this page</h2>\n<ol>"
    yield (
        "<li>Get the lines at its end into a text file, "
        f"<code>{_LINES}</code> Photograph or scan them and have the text recognised; every telephone does that. "
        "Each line ends with a checksum, and the next command but one names every line that was misread, so that only "
        f"those have to be compared. Typing works too: {count} lines, about a minute each. Spaces do not matter, "
        "capitals do.</li>"
    )
    for what, command in steps(_LINES):
        shown = f"<code>{markup(command)}</code>" if command else ""
        yield f"<li>{markup(what)}{shown}</li>"
    yield "</ol>"


def _list(heading: str, each: Iterable[str]) -> Iterator[str]:
    lines = [f"<li>{markup(line)}</li>" for line in each]
    if lines:
        yield f"<h2>{heading}</h2>\n<ul>"
        yield from lines
        yield "</ul>"


def _table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"<h2>{heading}</h2>\n<table>\n<thead><tr>"
    yield "".join(f'<th scope="col">{name}</th>' for name in columns)
    yield "</tr></thead>\n<tbody>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{markup(cell)}</td>' for cell in row)}</tr>"
    yield "</tbody>\n</table>"
