"""The vault over the real Borg: one wrapper through which every call goes."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from drkit import errors, process, state
from drkit.vault import borg_command as command
from drkit.vault import borg_outcome as outcome
from drkit.vault import gate, hostkeys
from drkit.vault.creation import STALL_SECONDS, Creation
from drkit.vault.multiplex import Multiplexer
from drkit.vault.port import Archive, StoredArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from drkit.vault.creation import Hold
    from drkit.vault.port import Reader, Stream

_SHORT_SECONDS = 600.0
"""A call that moves little; it may first have to rebuild Borg's cache of the index."""
_LONG_SECONDS = 24 * 3600.0
_BLOCK = 1024 * 1024
_PERHAPS_GONE = (errors.NoSuchPoint, errors.DrkitError)
"""How Borg says that an archive to be deleted is not there: by a status of its own, or by none in particular."""
_FREE_SPACE_PART = 50
"""One part in so many of a local disk is kept free, up to the bound below, so that a full vault can be pruned."""
_FREE_SPACE_MOST = 2 * 1024**3


def find_borg() -> str:
    """Borg's program: the one installed with drkit, else the one on the PATH.

    Raises:
        PreflightFailed: there is none.
    """
    beside = Path(sys.executable).parent / "borg"
    found = str(beside) if beside.exists() else shutil.which("borg")
    if found is None:
        raise errors.PreflightFailed(
            "borg is not installed", "install borgbackup 1.4 (it comes with drkit's own dependencies)"
        )
    return found


class Opened(NamedTuple):
    """A repository: its id (hex), and how Borg calls its encryption, such as ``repokey-blake2``."""

    repository_id: str
    encryption: str

    @property
    def holds_its_key(self) -> bool:
        """Whether the key is in the repository; else it is in a file of the machines that use it."""
        return not self.encryption.startswith("keyfile")


class BorgVault:
    """A Borg repository, local or over SSH. Several threads may read from it at a time, one may write."""

    def __init__(self, name: str, repository: command.Repository, passphrase: str) -> None:
        self.name = name
        self.repository = repository
        self.identity = command.identity_of(repository.url)
        self._passphrase = passphrase
        self._borg = find_borg()
        self._base = state.state_dir() / "borg"
        self._ssh = Multiplexer(repository.url, repository.ssh) if repository.url.startswith("ssh://") else None
        self._prepared: dict[str, Creation] = {}

    @property
    def _called(self) -> str:
        return f"vault {self.name} ({self.repository.url})"

    def connect_ahead(self) -> None:
        """Let the connection be made while the caller prepares its work."""
        if self._ssh is not None:
            self._ssh.begin()

    def create(self) -> bool:
        """Make the repository; a local one keeps some room free (Borg, "additional_free_space")."""
        try:
            self._call(command.create_repository(self.repository))
        except errors.RepositoryExists:
            return False
        if not self.repository.url.startswith("ssh://"):
            total = shutil.disk_usage(self.repository.url).total
            spare = min(total // _FREE_SPACE_PART, _FREE_SPACE_MOST)
            self._call(command.set_additional_free_space(self.repository, spare))
        return True

    def archives(self) -> tuple[Archive, ...]:
        """All archives, oldest first."""
        listed = self._json(command.list_archives(self.repository))
        return tuple(Archive(str(entry["name"]), str(entry["id"])) for entry in listed.get("archives", ()))

    def comments(self, names: Iterable[str]) -> Mapping[str, str]:
        """The comments of the named archives, in one call that opens little more than these."""
        wanted = set(names)
        if not wanted:
            return {}
        listed = self._json(command.list_comments(self.repository, narrowest_glob(wanted)))
        return {
            str(entry["name"]): str(entry.get("comment", "")) for entry in listed["archives"] if entry["name"] in wanted
        }

    def prepare(self, name: str, *, file_name: str) -> None:
        """Start Borg and the far side for a later ``store``; it takes no lock before then. Local ones start fast."""
        if self._ssh is not None and name not in self._prepared:
            shell, hold = self._ssh.held()
            self._prepared[name] = self._create(name, file_name, "", shell, hold)
            self._ssh.shell()  # returns when the shared connection is there, or cannot be made
            hold.next()

    def store(
        self,
        name: str,
        stream: Stream,
        *,
        file_name: str,
        comment: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> StoredArchive:
        """Store a stream; see ``drkit.vault.gate`` for why an unfinished one can never be kept."""
        creation = self._prepared.pop(name, None)
        if creation is not None and not creation.alive():  # its connection is lost; this one's may come about
            creation.close()
            creation = None
        if creation is None:
            creation = self._create(name, file_name, comment, None, None)
        try:
            ended, printed = creation.feed(stream, progress)
        except errors.ConnectionCut as stalled:
            raise errors.ConnectionCut(f"{self._called} {stalled.message}") from None
        finally:
            creation.close()
        if not outcome.succeeded(creation.borg.returncode):
            error = self._explain(creation.borg.returncode, creation.last_words.text())
            if ended.began and type(error) is errors.VaultUnreachable:
                raise errors.ConnectionCut(
                    f"{self._called} lost the connection in mid-transfer\n{error.message}",
                    "check the network, then run it again",
                )
            raise error
        made = json.loads(printed)
        archive = Archive(name, str(made["archive"]["id"]))
        return StoredArchive(archive, ended.size, ended.sha256, int(made["archive"]["stats"]["deduplicated_size"]))

    def _create(self, name: str, file_name: str, comment: str, shell: str | None, hold: Hold | None) -> Creation:
        argv = command.create_archive(
            self.repository,
            name,
            file_name=file_name,
            comment=comment,
            command=[sys.executable, "-I", "-S", gate.__file__],
        )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                borg, last_words = self._start(argv, stdin=theirs.fileno(), shell=shell)
            except BaseException:
                ours.close()
                if hold is not None:
                    hold.close()
                raise
        return Creation(borg, last_words, ours, hold)

    def drop_prepared(self) -> None:
        """End what was prepared and is not wanted any more."""
        while self._prepared:
            self._prepared.popitem()[1].close()

    @contextmanager
    def open(self, name: str) -> Iterator[Reader]:
        """The archive's content; leaving the body early ends Borg."""
        borg, last_words = self._start(command.extract(self.repository, name))
        try:
            yield _Extraction(self, borg, last_words)
        finally:
            process.stop(borg)

    def delete(self, names: Sequence[str]) -> None:
        """Remove archives in order. Those that are gone already are what was asked for."""
        for begin in range(0, len(names), command.FILES_IN_ARGV):
            some = names[begin : begin + command.FILES_IN_ARGV]
            try:
                self._call(command.delete(self.repository, some))
            except errors.DrkitError as error:
                if type(error) not in _PERHAPS_GONE:
                    raise
                present = {archive.name for archive in self.archives()}
                left = [name for name in some if name in present]
                if len(left) == len(some):
                    raise
                if left:
                    self._call(command.delete(self.repository, left))

    def compact(self) -> None:
        """Free the room of what was deleted."""
        self._call(command.compact(self.repository), deadline=_LONG_SECONDS)

    def check(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """``borg check``; every failure that is not one of reaching the vault means damage."""
        borg, last_words = self._start(command.check(self.repository), on_line=progress)
        try:
            borg.wait(_LONG_SECONDS)
        finally:
            process.stop(borg)
        if borg.returncode != 0:
            error = self._explain(borg.returncode, last_words.text())
            if type(error) is errors.DrkitError:
                # Not the list of every chunk that an index lacks: what was found comes before it.
                lines = outcome.read_log(last_words.text()).splitlines()
                said = process.tail("\n".join(line for line in lines if not line.startswith("ID: ")))
                raise errors.VerificationFailed(
                    f"{self._called} is damaged: borg check found errors\n{said}",
                    "keep a copy of it, restore what you need, then read: borg check --help (--repair)",
                )
            raise error

    def opened(self) -> Opened:
        """What the repository says of itself once the passphrase and the key have opened it.

        Raises:
            WrongKey: they do not.
        """
        said = self._json(command.list_archives(self.repository))
        return Opened(str(said["repository"]["id"]), str(said["encryption"]["mode"]))

    def export_key(self) -> str:
        """Borg's key as text, wherever it is kept; only the passphrase opens it."""
        return self._call(command.export_key(self.repository)).decode()

    def change_passphrase(self, new: str) -> None:
        """Have the key opened by another passphrase from now on, and not by this object's own any more.

        Killed at any time, either one opens it. Neither is in an argument, in the environment or on a disk.

        Raises:
            WrongKey: the one that this object has does not open it.
            ConfigurationError: one of them is more than a line.
        """
        if "\n" in self._passphrase + new:
            raise errors.ConfigurationError(f"{self._called}: expected a passphrase of one line")
        both = _through_pipe(f"{self._passphrase}\n{new}\n")
        try:
            lines = command.ask_for(Path(f"/proc/{os.getpid()}/fd/{both}"))
            with self._environment() as (env, secret):
                self._run(command.change_passphrase(self.repository), {**env, **lines}, [secret], _SHORT_SECONDS)
        finally:
            os.close(both)

    def _shell(self) -> str:
        return "ssh" if self._ssh is None else self._ssh.shell()

    @contextmanager
    def _environment(self, shell: str | None = None) -> Iterator[tuple[dict[str, str], int]]:
        """Borg's environment, and the descriptor in it that gives the passphrase once."""
        secret = _through_pipe(self._passphrase)
        try:
            inherited, key_file = process.clean_environment(), self.repository.key_file
            yield command.environment(inherited, shell or self._shell(), self._base, secret, key_file), secret
        finally:
            os.close(secret)

    def _start(
        self,
        arguments: Sequence[str],
        stdin: int = subprocess.DEVNULL,
        on_line: Callable[[str], None] | None = None,
        shell: str | None = None,
    ) -> tuple[subprocess.Popen[bytes], process.TailReader]:
        with self._environment(shell) as (env, secret):
            borg = process.spawn([self._borg, *arguments], env=env, pass_fds=[secret], stdin=stdin)
        assert borg.stderr is not None  # noqa: S101 - spawn's default is a pipe
        return borg, process.TailReader(borg.stderr, on_line)

    def _call(self, arguments: Sequence[str], deadline: float = _SHORT_SECONDS) -> bytes:
        """Run Borg to its end; return what it printed.

        Raises:
            DrkitError: the one that fits, after its exit status and last words.
        """
        with self._environment() as (env, secret):
            return self._run(arguments, env, [secret], deadline)

    def _run(self, arguments: Sequence[str], env: dict[str, str], descriptors: Sequence[int], deadline: float) -> bytes:
        try:
            done = process.run([self._borg, *arguments], deadline=deadline, env=env, pass_fds=descriptors)
        except process.DeadlineExceeded as error:
            raise errors.VaultUnreachable(f"{self._called}: {error}", "check the network, then: drkit check") from None
        if not outcome.succeeded(done.status):
            raise self._explain(done.status, done.stderr)
        return done.stdout

    def _json(self, arguments: Sequence[str]) -> dict[str, Any]:
        listed: dict[str, Any] = json.loads(self._call(arguments))
        return listed

    def _explain(self, status: int, stderr: str) -> errors.DrkitError:
        error = outcome.interpret(self.name, self.repository.url, status, stderr)
        if type(error) is errors.ConnectionCut and self._ssh is not None and not process.ending():
            complaint = self._ssh.complaint()
            error = outcome.interpret(self.name, self.repository.url, status, complaint) if complaint else error
        if isinstance(error, errors.HostKeyError):
            return hostkeys.explain(self.name, self.repository.url, self.repository.ssh)
        return error


class _Extraction:
    """The reading end of ``borg extract``: the end of the stream counts only with a good exit status."""

    def __init__(self, vault: BorgVault, borg: subprocess.Popen[bytes], last_words: process.TailReader) -> None:
        assert borg.stdout is not None  # noqa: S101 - spawn's default is a pipe
        self._vault, self._borg, self._last_words = vault, borg, last_words
        self._stdout: IO[bytes] = borg.stdout
        gate.widen(self._stdout.fileno())

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; at the end, Borg's verdict."""
        ready, _, _ = select.select([self._stdout], [], [], STALL_SECONDS)
        if not ready:
            raise errors.ConnectionCut(f"vault {self._vault.name}: nothing came for {STALL_SECONDS:.0f} s")
        block = os.read(self._stdout.fileno(), min(size, _BLOCK))
        if not block:
            self._borg.wait(_SHORT_SECONDS)
            if not outcome.succeeded(self._borg.returncode):
                raise self._vault._explain(self._borg.returncode, self._last_words.text())  # noqa: SLF001 - the two are one piece
        return block


def narrowest_glob(names: set[str]) -> str:
    """A pattern for ``--glob-archives`` that matches all of ``names`` and little else.

    Names are drkit's own and hold no characters that mean something in a pattern.
    """
    if len(names) == 1:
        return next(iter(names))
    prefix = os.path.commonprefix(sorted(names))
    suffix = os.path.commonprefix([name[len(prefix) :][::-1] for name in names])[::-1]
    return f"{prefix}*{suffix}"


def _through_pipe(secret: str) -> int:
    """A descriptor from which ``secret`` can be read once; it is in no argument, no environment and on no disk."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(secret.encode())
    return reading
