"""The export of all objects of a cluster's API, as one archive on its way.

First come the objects that a restore applies, a YAML file each; then, a file for each kind with one line of JSON for
each object, all objects as the API gave them; last an index. The noisy half is so kept apart: from one day to the next
the first half hardly changes, and the vault stores it once. One raw file a kind, not one an object, because nobody
reads them one by one: it saves half of the entries, and reading all of a kind is one pass.
"""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.archive import Entry, Writer
from drkit.errors import DrkitError, KubeUnreachable, SourceFailed
from drkit.manifests import listing as listings
from drkit.manifests import paths
from drkit.manifests.spool import Spool
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from drkit.cluster.kube import Api, Discovery, Resource
    from drkit.manifests.listing import Listing

FORMAT: Final = 1
THREADS: Final = 4
_SAME: Final = frozenset({("events.k8s.io", "events")})
"""Kinds that are the objects of another one under another name."""


class _Cancelled(Exception):
    """Nobody reads the archive any more."""


@dataclass(frozen=True)
class _Failed:
    kind: Resource
    error: str


class Export:
    """An export that runs. ``close`` ends it wherever it is.

    Args:
        api: the cluster.

    Raises:
        SourceFailed: the API does not say what it serves.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._discovery: Discovery = api.discover()
        self._version = str(api.get("/version").get("gitVersion", ""))
        self._cancelled = threading.Event()
        self._gone: DrkitError | None = None
        self._error: BaseException | None = None
        self._details: dict[str, Any] = {}
        self._archive = Writer(self._write)
        self._reading, self._writing = os.pipe()
        gate.widen(self._writing)
        self._thread = threading.Thread(target=self._run, name="manifests", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """The archive, to its end."""
        return self._reading

    def finish(self) -> None:
        """See that the archive is whole; kinds that could not be read are in the details.

        Raises:
            SourceFailed: nothing could be read.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def details(self) -> dict[str, Any]:
        """For the descriptor; valid after ``finish``."""
        return self._details

    def close(self) -> None:
        """End it."""
        self._cancelled.set()
        os.close(self._reading)
        self._thread.join()

    def _run(self) -> None:
        try:
            with Spool() as spool:
                self._write_all(spool)
        except (_Cancelled, BrokenPipeError):
            self._error = SourceFailed("the export of manifests was ended before its end")
        except OSError as error:
            self._error = SourceFailed(f"the export of manifests cannot be kept until it is stored: {error.strerror}")
        except BaseException as error:  # noqa: BLE001 - it is raised by finish, in the thread that asks
            self._error = error
        finally:
            os.close(self._writing)

    def _write_all(self, spool: Spool) -> None:
        whole: list[Listing] = []
        failed: list[_Failed] = []
        for each in self._read_all(spool):
            if isinstance(each, _Failed):
                failed.append(each)
                continue
            whole.append(each)
            for record in each.files:
                self._write(spool.get(record))
        self._details = details(self._version, self._discovery, whole, failed)
        if not whole:
            reasons = "; ".join(sorted({each.error for each in failed})) or "the API serves nothing that can be listed"
            raise SourceFailed(f"no kind of object could be read: {reasons}", "test the connection: drkit check")
        for each in whole:
            self._write_raw(each, spool)
        index = json.dumps(self._details, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        self._archive.add(Entry(paths.INDEX), index)
        self._archive.close()

    def _write_raw(self, each: Listing, spool: Spool) -> None:
        size = sum(record.size for record in each.raw)
        if size:
            self._archive.begin(Entry(paths.of_raw(each.kind)), size)
            for record in each.raw:
                self._write(spool.get(record))
            self._archive.end(size)

    def _write(self, content: bytes) -> None:
        gate.write_all(self._writing, memoryview(content))

    def _read_all(self, spool: Spool) -> Iterator[Listing | _Failed]:
        """Every kind, in their order; the next ones are read meanwhile."""
        with ThreadPoolExecutor(THREADS, "manifests") as pool:
            futures = [pool.submit(self._read, kind, spool) for kind in listable(self._discovery.resources)]
            try:
                for future in futures:
                    yield future.result()
            finally:
                self._cancel(futures)

    def _cancel(self, futures: Sequence[Future[Listing | _Failed]]) -> None:
        if not all(future.done() for future in futures):
            self._cancelled.set()
            for future in futures:
                future.cancel()

    def _read(self, kind: Resource, spool: Spool) -> Listing | _Failed:
        self._go_on()
        if self._gone is not None:
            return _Failed(kind, self._gone.message)
        try:
            return listings.read(self._api, kind, spool, self._go_on)
        except SourceFailed as error:
            gone = self._see_whether_it_is_gone() if isinstance(error, KubeUnreachable) else None
            return _Failed(kind, (gone or error).message)

    def _see_whether_it_is_gone(self) -> DrkitError | None:
        """A server that does not answer at all is not asked for every other kind too."""
        try:
            self._api.get("/version")
        except SourceFailed as error:
            self._gone = error
        return self._gone

    def _go_on(self) -> None:
        if self._cancelled.is_set():
            raise _Cancelled


def listable(resources: Sequence[Resource]) -> list[Resource]:
    """The kinds to export, in the order of the archive."""
    found = [each for each in resources if "list" in each.verbs and (each.group, each.plural) not in _SAME]
    return sorted(found, key=lambda each: (each.group, each.plural))


def details(version: str, discovery: Discovery, whole: Sequence[Listing], failed: Sequence[_Failed]) -> dict[str, Any]:
    """What the descriptor and the archive's own index say."""
    lacking = {f"{each.kind.api_version}/{each.kind.plural}": each.error for each in failed}
    return {
        "format": FORMAT,
        "versions": {"kubernetes": version},
        "kinds": {
            paths.of_kind(each.kind): {
                "version": each.kind.version,
                "kind": each.kind.kind,
                "group": each.kind.group,
                "plural": each.kind.plural,
                "namespaced": each.kind.namespaced,
                "verbs": sorted(each.kind.verbs),
                "listed": each.listed,
                "objects": each.objects,
                "digest": each.digest,
                "resource_version": each.resource_version,
            }
            for each in whole
        },
        "lacking": {**discovery.failed, **lacking},
    }
