"""``drkit check``: each thing that drkit will need, tried for real, side by side, without changing anything."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from drkit import process
from drkit.checks import databases, scratch, tokens, vaults
from drkit.checks.pages import looks as pages
from drkit.checks.result import Look, Result
from drkit.checks.together import Together
from drkit.config.load import read_text
from drkit.errors import DrkitError, HostKeyError, PreflightFailed, UsageError
from drkit.points import signing
from drkit.vault import hostkeys
from drkit.vault.borg import find_borg

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.config.model import Config

_SELF_TEST_SECONDS = 60.0


def everything(config: Config, file: Path | None = None) -> list[Result]:
    """All checks, in the order in which a backup needs things.

    Args:
        config: what ``drkit.yaml`` says.
        file: where it is.
    """
    together = Together()
    first = [
        Look("borg", _borg, late_code=PreflightFailed.exit_code),
        *vaults.looks(config),
        Look("signing key", partial(_signing_key, config)),
    ]
    begun = together.begin(first)
    after = together.begin(
        [
            *databases.looks(config),
            *vaults.places(config),
            *tokens.looks(config),
            *_drills(config, file),
            *pages(config),
            *scratch.looks(config),
        ]
    )
    # The API is asked for the machines here, while those run.
    cluster, wrong = _cluster(config)
    running = together.begin(cluster)
    found = [*(each.end() for each in begun), *wrong, *(each.end() for each in [*running, *after])]
    return found if file is None else [*found, _escrow(config, read_text(file))]


def _escrow(config: Config, text: str) -> Result:
    """What fails here fails above too, where it counts."""
    from drkit.keys.standing import stand  # noqa: PLC0415 - only the check wants all that it draws in

    try:
        found = stand(config, text)
    except DrkitError as error:
        return Result("escrow", ok=True, said=f"cannot be judged: {error.message}", hint=error.hint, warning=True)
    return Result("escrow", ok=True, said=found.said, hint=found.hint, warning=not found.ok)


def _cluster(config: Config) -> tuple[list[Look], list[Result]]:
    """What to try of the cluster, or why that cannot even be said."""
    if config.cluster.kubeconfig is None and not config.cluster.servers:
        return [], []
    from drkit.checks import cluster  # noqa: PLC0415 - who backs up databases alone does not wait for it

    try:
        return cluster.looks(config), []
    except DrkitError as error:
        return [], [Result("cluster", ok=False, said=error.message, hint=error.hint, exit_code=error.exit_code)]


def _drills(config: Config, file: Path | None) -> list[Look]:
    from drkit.checks import drills  # noqa: PLC0415 - see above

    return drills.looks(config, file)


def _borg() -> str:
    """Borg's own self-test runs here, where its tenth of a second does not matter."""
    done = process.run([find_borg(), "--version"], deadline=_SELF_TEST_SECONDS, env=process.clean_environment())
    if done.status != 0:
        raise PreflightFailed(f"borg does not work: {process.tail(done.stderr)}", "reinstall borgbackup")
    return done.stdout.decode().strip()


def _signing_key(config: Config) -> str:
    pinned = signing.verifier(config).keys
    if not pinned:
        return "none yet, the first backup makes it"
    return f"pinned: {', '.join(sorted(pinned))}"


def accept(config: Config, fingerprint: str) -> list[str]:
    """Pin the host key with this fingerprint for every vault that offers it; returns the lines for known_hosts.

    Raises:
        HostKeyError: no vault offers it; nothing was changed.
    """
    remote = [vault for vault in config.vaults.values() if vault.is_remote]
    if not remote:
        raise UsageError("no vault is reached over SSH, so there is no host key to accept")
    accepted: list[str] = []
    refused: HostKeyError | None = None
    for vault in remote:
        try:
            accepted.append(hostkeys.accept(vault.url, vault.ssh, fingerprint).line)
        except HostKeyError as error:
            refused = error
    if not accepted and refused is not None:
        raise refused
    return accepted
