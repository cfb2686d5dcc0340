"""Whether the tokens of Hetzner Cloud projects are valid, and may write where that is needed.

A token that may only read is refused whatever is written, before anything else is looked at (code ``token_readonly``;
https://docs.hetzner.cloud/reference/cloud#errors). So the question is a request without its required fields, out of
which nothing can be made.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from drkit.checks.result import Look, Seen
from drkit.config import secrets
from drkit.errors import PreflightFailed
from drkit.topology import hetzner

if TYPE_CHECKING:
    from collections.abc import Iterator

    import hcloud

    from drkit.config.model import Config, Secret

_SECONDS = 15.0
_READ_ONLY, _INVALID = "token_readonly", frozenset({"invalid_input", "json_error", "unprocessable_entity"})


def looks(config: Config) -> list[Look]:
    """One for each token that the configuration names; a lab's are for its stand-in, and shown to nobody else."""
    if config.drills.provider == "lab" and hetzner.is_hetzners_own():
        said = "of a lab: the stand-in for Hetzner's API that knows it runs in drkit lab rehearse alone"
        return [Look(f"token {section}", lambda: Seen(said, skipped=True)) for section, _, _ in _tokens(config)]
    return [
        Look(f"token {section}", partial(_see, token, section, writes), late_code=PreflightFailed.exit_code)
        for section, token, writes in _tokens(config)
    ]


def _tokens(config: Config) -> Iterator[tuple[str, Secret, bool]]:
    """Where they stand, and whether they have to be able to write."""
    if config.cluster.token is not None:
        yield "cluster.token", config.cluster.token, False
    if config.drills.token is not None:
        yield "drills.token", config.drills.token, bool(config.drills.allow)
    for name, target in config.clusters.items():
        if target.provider == "hetzner" and target.token is not None:
            yield f"clusters.{name}.token", target.token, True


def _see(secret: Secret, section: str, writes: bool) -> Seen:  # noqa: FBT001 - part of a table's row
    import hcloud  # noqa: PLC0415 - a third of a second that only who has a token pays
    import requests  # noqa: PLC0415 - see above

    token = secrets.fetch(secret, section)
    client = hcloud.Client(
        token=token, api_endpoint=hetzner.endpoint(), application_name="drkit", timeout=_SECONDS, poll_max_retries=0
    )
    try:
        servers = client.request("GET", "/servers", params={"per_page": 1})["meta"]["pagination"]["total_entries"]
        may_write = _may_write(client)
    except hcloud.APIException as error:
        raise PreflightFailed(
            f"{section}: Hetzner's API refuses it: {error.message} ({error.code})",
            "make a new token in the Hetzner Console: project, Security, API tokens",
        ) from None
    except (requests.RequestException, OSError) as error:
        raise PreflightFailed(f"{section}: Hetzner's API at {hetzner.endpoint()} does not answer: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise PreflightFailed(f"{section}: Hetzner's API answered with what is not understood: {error!r}") from None
    said = f"valid: a project with {servers} servers; it may {'read and write' if may_write else 'only read'}"
    if writes and not may_write:
        raise PreflightFailed(f"{section}: {said}", "name a token with the permission Read & Write")
    more = may_write and section == "cluster.token"
    return Seen(f"{said}; reading would be enough" if more else said)


def _may_write(client: hcloud.Client) -> bool:
    """Whether a request to change something is refused for what it lacks, and not for who asks."""
    import hcloud  # noqa: PLC0415 - see above

    try:
        client.request("POST", "/ssh_keys", json={})
    except hcloud.APIException as error:
        if error.code == _READ_ONLY:
            return False
        if error.code in _INVALID:
            return True
        raise
    return True
