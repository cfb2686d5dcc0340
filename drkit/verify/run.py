"""The steps of a verification. Everything found wrong is collected: one damaged archive must not hide another."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from drkit.clock import to_text
from drkit.errors import DrkitError, NoSuchPoint, RestoreFailed, VerificationFailed, WrongKey
from drkit.points import catalogue as catalogues
from drkit.points import names, signing
from drkit.points.descriptor import Verification, encode_verification
from drkit.postgres.scratch import choose
from drkit.restore.stream import discard, feed
from drkit.sources.port import MemoryStream
from drkit.verify import deep, inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drkit.clock import Clock
    from drkit.cluster.kube import Api
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor, SourceEntry
    from drkit.points.point import Point
    from drkit.points.select import RecoverySet
    from drkit.points.signing import Verifier
    from drkit.vault.port import Vault

CHECKSUMS = "checksums"
RESTORED = "restored"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what is wrong with it; an empty ``wrong`` means it is as sealed."""

    what: str
    wrong: tuple[str, ...] = ()


@dataclass
class Findings:
    """All that was looked at."""

    items: list[Finding] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Everything that is not as it should be."""
        return [f"{item.what}: {text}" for item in self.items for text in item.wrong]

    @contextmanager
    def looking_at(self, what: str) -> Iterator[list[str]]:
        """One thing that is looked at in the body, which adds to the list what is wrong.

        Damage is kept and the verification goes on. What keeps it from looking at all, such as a vault that does not
        answer or a missing program, ends it: it says nothing about what was backed up.
        """
        wrong: list[str] = []
        try:
            yield wrong
        except (VerificationFailed, RestoreFailed, NoSuchPoint, WrongKey) as error:
            wrong.append(error.message)
        self.items.append(Finding(what, tuple(wrong)))


class Verify:
    """One verification over the configured vaults."""

    def __init__(
        self, config: Config, vaults: Mapping[str, Vault], verifier: Verifier, clock: Clock, reporter: Reporter
    ) -> None:
        self._config = config
        self._vaults = vaults
        self._verifier = verifier
        self._clock = clock
        self._reporter = reporter
        self.findings = Findings()
        self.unreached: list[DrkitError] = []
        """Why vaults could not be looked at, where others could."""
        self._excused = 0
        """How much of what is wrong keeps no point from being restored whole."""
        self._descriptors: dict[str, Descriptor | None] = {}

    def everything(self, catalogue: Catalogue) -> None:
        """Signatures of all points, the ids of all archives that they pin, and ``borg check`` of all vaults."""
        for problem in catalogue.problems:
            with self._past("list of points"):
                raise problem
        for point in catalogue.points:
            self._descriptor(point)
        for name, vault in self._vaults.items():
            with self._reporter.task(f"borg check of vault {name}"), self._past(f"vault {name}"):
                vault.check()

    @contextmanager
    def _past(self, what: str) -> Iterator[None]:
        """Something of one vault that is looked at; what keeps it from being so is kept where there are more vaults."""
        try:
            with self.findings.looking_at(what):
                yield
        except DrkitError as error:
            if len(self._vaults) == 1:
                raise
            if error.message not in {each.message for each in self.unreached}:
                self._reporter.warn(f"{what}: {error.message}")
                self.unreached.append(error)

    def _descriptor(self, point: Point) -> Descriptor | None:
        """The point's descriptor, where its signature is right; and whether the archives that it pins are there.

        An archive that is gone in one vault and there in another is found wrong, and keeps nothing from being read.
        """
        if point.id in self._descriptors:
            return self._descriptors[point.id]
        with self.findings.looking_at(f"point {point.id}") as wrong:
            wrong.extend(
                f"the archive of {source} in vault {vault} is gone or is not the one that was sealed"
                for source, vault in sorted(point.gone)
            )
            self._descriptors[point.id] = catalogues.open_descriptor(point, self._vaults, self._verifier)
        if point.missing:
            self._descriptors[point.id] = None
        else:
            self._excused += len(point.gone)
        return self._descriptors.setdefault(point.id)

    def checksums(self, point: Point) -> None:
        """Signature and archive ids of one point, and every byte of its archives against its SHA-256."""
        descriptor = self._descriptor(point)
        if descriptor is not None:
            for source in point.copies:
                self._read(source, descriptor.called(source))
        if len(self.findings.wrong) == self._excused:
            self._record(point, CHECKSUMS)

    def _read(self, source: SourceEntry, called: str) -> None:
        with self.findings.looking_at(called), self._reporter.task(called) as task:
            feed(self._vaults[source.vault], source, discard, task)

    def restored(self, recovery_set: RecoverySet, api: Api | None = None) -> None:
        """Restore every source of a recovery set into scratch and compare the contents with the archives.

        Args:
            recovery_set: what to restore.
            api: a cluster on which manifests are tried as a dry run.
        """
        points = {each.point.id: each.point for each in recovery_set.chosen}
        descriptors = {point.id: found for point in points.values() if (found := self._descriptor(point)) is not None}
        self._restore(
            [
                source
                for each in recovery_set.chosen
                if each.point.id in descriptors
                for source in descriptors[each.point.id].sources
                if (source.name, source.vault) == (each.source.name, each.source.vault)
            ],
            api,
        )
        if len(self.findings.wrong) == self._excused:
            for point in points.values():
                self._record(point, RESTORED)

    def _restore(self, sources: Sequence[SourceEntry], api: Api | None) -> None:
        # k3s's own datastore may be a database too.
        databases = [source for source in sources if "dump_format" in source.details]
        for source in sources:
            if source not in databases:
                self._look_inside(source, api)
        with ExitStack() as stack:
            servers = {
                major: stack.enter_context(
                    choose.server(major, self._config.postgresql, self._config.staging, self._reporter)
                )
                for major in sorted({_major(source) for source in databases})
            }
            for source in databases:
                with (
                    self.findings.looking_at(source.name) as wrong,
                    self._reporter.task(f"restoring {source.name}") as task,
                ):
                    vault = self._vaults[source.vault]
                    wrong.extend(deep.database(vault, source, servers[_major(source)], task))

    def _look_inside(self, source: SourceEntry, api: Api | None) -> None:
        with self.findings.looking_at(source.name) as wrong, self._reporter.task(f"opening {source.name}") as task:
            vault = self._vaults[source.vault]
            seen = inside.look(vault, source, api)
            if seen is None:
                feed(vault, source, discard, task)
            else:
                wrong.extend(seen.wrong)
                for note in seen.notes:
                    self._reporter.note(note)

    def _record(self, point: Point, level: str) -> None:
        """Seal into the vault, signed, that the point was verified, where whoever looks next finds it."""
        signer = signing.existing_signer(self._config)
        if signer is None:
            self._reporter.note("not noted in the vault: the signing key is not on this machine")
            return
        at = self._clock.now()
        record = Verification(to_text(at), level)
        name = names.ArchiveName(names.slug(self._config.cluster.name), point.id, names.verification(at))
        comment = encode_verification(point.id, record, signer)
        report = json.dumps({**asdict(record), "looked_at": [item.what for item in self.findings.items]})
        for vault in point.vaults:
            try:
                with MemoryStream(report.encode()) as stream:
                    self._vaults[vault].store(str(name), stream, file_name="verification.json", comment=comment)
            except DrkitError as error:
                self._reporter.warn(
                    f"vault {vault}: it could not be noted that {point.id} was verified: {error.message}"
                )


def _major(source: SourceEntry) -> int:
    return int(str(source.details["versions"]["postgresql"]).partition(".")[0])
