"""The one tree of errors: each carries the exit code that scripts rely on and a hint that says what to do next."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "unexpected error",
    2: "usage",
    3: "done in part; what failed is named",
    4: "configuration",
    10: "vault unreachable, host key unknown or changed, or no repository",
    11: "locked: a vault, or the scheduler",
    12: "wrong passphrase or key",
    13: "verification failed",
    14: "target not empty or already alive",
    15: "no such recovery point",
    16: "preflight failed",
    20: "drill verdict: window exceeded",
    21: "drill verdict: data lost",
    22: "drill invalid: the steady state did not hold, the fault was not confirmed, or the prober was impaired",
    23: "audit findings",
    130: "interrupted, undone",
}


class DrkitError(Exception):
    """Root of the tree.

    Args:
        message: what happened, in one sentence, with the values that matter.
        hint: what the user does next; empty where the message says it already.
        passes: whether this one passes by itself, where its class does not say so.
    """

    exit_code: ClassVar[int] = 1
    passes: bool = False
    """Whether it is of a kind that passes by itself, as a network that is down does: then trying again can help."""

    def __init__(self, message: str, hint: str = "", *, passes: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if passes:
            self.passes = True


class UsageError(DrkitError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class SourceFailed(DrkitError):
    """One source could not be backed up; the others are not concerned."""

    exit_code = 3


class StartAgain(SourceFailed):
    """A source was disturbed by what passes: started once more, it may be read whole."""

    passes = True


class BackupFailed(DrkitError):
    """Every source failed: nothing was sealed."""

    exit_code = 3


class NodeUnreachable(SourceFailed):
    """A node does not answer over SSH, or does not let drkit in."""

    passes = True


class KubeUnreachable(SourceFailed):
    """The cluster's API does not answer."""

    passes = True


class Cause(NamedTuple):
    """One of the reasons that an API gives, as it spells them."""

    reason: str
    """Such as ``FieldManagerConflict``."""
    field: str
    message: str


class KubeRefused(SourceFailed):
    """The cluster's API answered with an error.

    Args:
        status: HTTP's, such as 403.
        said: the server's own words, which are the message's end; they may quote values of the object.
        causes: what it names one by one; likewise.
        passes: see ``DrkitError``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        hint: str = "",
        said: str = "",
        causes: tuple[Cause, ...] = (),
        *,
        passes: bool = False,
    ) -> None:
        super().__init__(message, hint, passes=passes)
        self.status = status
        self.said = said or message
        self.causes = causes


class KubeExpired(KubeRefused):
    """The continuation of a list is gone (410): what was read so far is not the whole."""


class ConfigurationError(DrkitError):
    """``drkit.yaml`` or a secret it names is not as expected; the message begins with file:line:column."""

    exit_code = 4


class VaultUnreachable(DrkitError):
    """The vault did not answer, or there is no repository where one should be."""

    exit_code = 10
    passes = True


class NoRepository(VaultUnreachable):
    """The place answers, and holds no Borg repository."""

    passes = False


class RepositoryExists(DrkitError):
    """There is a Borg repository already where one should be made."""


class HostKeyError(VaultUnreachable):
    """The vault's SSH host key is unknown or has changed."""

    passes = False


class ConnectionCut(VaultUnreachable):
    """The connection to the vault broke after it had worked."""


class VaultFull(DrkitError):
    """The vault has no room left (disk or quota)."""

    exit_code = 3


class VaultLocked(DrkitError):
    """Another process holds the vault."""

    exit_code = 11


class SchedulerRuns(DrkitError):
    """Another process runs the cluster's jobs."""

    exit_code = 11


class WrongKey(DrkitError):
    """The passphrase or a key does not open or sign what it should."""

    exit_code = 12


class VerificationFailed(DrkitError):
    """Something is not what its descriptor, signature or checksum says."""

    exit_code = 13


class TargetNotEmpty(DrkitError):
    """The target of a restore holds something, or is in use; nothing was touched."""

    exit_code = 14


class NoSuchPoint(DrkitError):
    """No recovery point, or no archive in it, answers the request."""

    exit_code = 15


class PreflightFailed(DrkitError):
    """Something that the work needs is missing; named before anything was changed."""

    exit_code = 16


class ClusterBusy(PreflightFailed):
    """Another drkit works on this cluster."""


class RestoreFailed(DrkitError):
    """A step of a restore failed; ``--resume`` goes on from there."""

    exit_code = 1


class ProviderFailed(RestoreFailed):
    """Who has the servers refused something, or does not answer.

    Args:
        code: the provider's own word for it, such as ``resource_limit_exceeded``; empty where it gave none.
    """

    def __init__(self, message: str, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


class FaultFailed(DrkitError):
    """A drill's fault could not be done, or not be undone, as it should be: the drill proves nothing."""

    exit_code = 22


class ProberFailed(DrkitError):
    """What asks during a drill could not, or died: the drill proves nothing."""

    exit_code = 22


class NotDelivered(DrkitError):
    """Who collects metrics, or takes messages, did not take them."""


class Interrupted(DrkitError):
    """A signal ended the work; what was begun has been undone."""

    exit_code = 130
