"""``python -m bench``: measures, prints a table, and keeps every figure in ``bench/results/``.

Exit status 0 whether targets are met or not: a benchmark is no test. 1 where something could not be measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from bench import applies, backups, clusters, exports, listings, probes, rebuilds, restores
from bench.figures import Book, Figure, keep, machine, print_table
from bench.tools import BORGMATIC, install_borgmatic, run
from bench.world import SETTINGS, World, borg, world
from drkit import __version__
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARTS = ("help", "backup", "restore", "points", "manifests", "apply", "cluster", "rebuild", "probes")

_FEW_ROWS = 1000
"""Where nothing that is measured reads them."""


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int
    rows: int
    """Of the large table of each of two databases; 4.5 million make 0.45 GB of dump."""
    archives: int
    helps: int
    objects: tuple[int, int]
    """Of the cluster: for the comparison, and for the memory that it takes."""
    probing: float
    """Seconds of each round of probes."""
    patience: float
    """Seconds to wait before each run, at the most, for others to leave the machine idle."""


def _extent(arguments: argparse.Namespace) -> Extent:
    patience = arguments.patience
    if arguments.quick:
        return Extent(
            arguments.rounds or 1,
            100_000,
            archives=30,
            helps=3,
            objects=(500, 1000),
            probing=3,
            patience=0 if patience is None else patience,
        )
    return Extent(
        arguments.rounds or 3,
        4_500_000,
        archives=500,
        helps=10,
        objects=(5_000, 20_000),
        probing=15,
        patience=20 if patience is None else patience,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default: 3; 1 with --quick)")
    parser.add_argument(
        "--patience", type=float, help="seconds to wait for an idle machine before each run (default: 20)"
    )
    parser.add_argument("--quick", action="store_true", help="little data, to see that the benchmark itself works")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated")
    return parser.parse_args()


def _measure(here: World, book: Book, extent: Extent, parts: Sequence[str]) -> dict[str, str]:
    """All parts; one that fails leaves the others to be measured. Returns the failures."""
    ways: dict[str, Callable[[], None]] = {
        "help": lambda: listings.measure_help(here, book, extent.helps),
        "backup": lambda: backups.measure(here, book, extent.rounds),
        "restore": lambda: restores.measure(here, book, extent.rounds),
        "points": lambda: listings.measure(here, book, extent.rounds, extent.archives),
        "manifests": lambda: exports.measure(here, book, extent.rounds, *extent.objects),
        "apply": lambda: applies.measure(here, book, extent.rounds, *extent.objects),
        "cluster": lambda: clusters.measure(here, book, extent.rounds),
        "rebuild": lambda: rebuilds.measure(here, book, extent.rounds),
        "probes": lambda: probes.measure(here, book, extent.rounds, extent.probing),
    }
    failed: dict[str, str] = {}
    for part in parts:
        try:
            ways[part]()
        except (DrkitError, psycopg.Error, OSError, ValueError) as error:
            failed[part] = str(error)
            print(f"{part} could not be measured: {error}", file=sys.stderr)
    return failed


def _versions(here: World) -> dict[str, str]:
    return {
        "drkit": __version__,
        "borg": run([borg(), "--version"], here.environment("by-hand")).split()[-1],
        "borgmatic": BORGMATIC,
        "pg_dump": run([here.client("pg_dump"), "--version"], here.environment("by-hand")).split()[2],
    }


def _document(here: World, book: Book, figures: Sequence[Figure], extent: Extent, began: datetime) -> dict[str, Any]:
    return {
        "began": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ended": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(_versions(here)),
        "extent": {**vars(extent), "postgresql_settings": SETTINGS},
        "figures": [figure.as_json() for figure in figures],
        "processor_seconds_of_others_per_second": round(book.disturbance(), 3),
        "raw": book.raw,
    }


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt  # so that servers and directories are cleaned up on the way out


def main() -> int:
    """Run the benchmark."""
    signal.signal(signal.SIGTERM, _interrupt)
    arguments = _arguments()
    extent, began, book = _extent(arguments), datetime.now(UTC), Book()
    install_borgmatic()
    parts = [part for part in PARTS if part in (arguments.only or PARTS)]
    rows = extent.rows if {"backup", "restore"} & set(parts) else _FEW_ROWS
    print(f"making two databases of {rows} rows", flush=True)
    with world(rows, extent.patience) as here:
        failed = _measure(here, book, extent, parts)
        figures = [
            *backups.figures(book),
            *restores.figures(book),
            *listings.figures(book),
            *exports.figures(book),
            *applies.figures(book),
            *clusters.figures(book),
            *rebuilds.figures(book),
            *probes.figures(book),
        ]
        document = {**_document(here, book, figures, extent, began), "failed": sorted(failed)}
    print()
    print_table(figures)
    print(f"\nprocessor time of others meanwhile: {book.disturbance():.2f} s in each second")
    print(f"kept in {keep(document, began)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
