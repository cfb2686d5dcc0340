"""A Hetzner Cloud project as its API describes it, raw: what a library's model does not know yet is kept too.

Source: Hetzner Cloud API, https://docs.hetzner.cloud/ (pagination: ``meta.pagination``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import hcloud

Project = dict[str, list[dict[str, Any]]]
"""The project's things, as the API gives them, by collection: ``servers``, ``networks``, …"""

COLLECTIONS = (
    "servers",
    "networks",
    "firewalls",
    "load_balancers",
    "floating_ips",
    "primary_ips",
    "placement_groups",
    "ssh_keys",
    "volumes",
    "zones",
)
_ENDPOINT = "https://api.hetzner.cloud/v1"
_VARIABLE = "HCLOUD_ENDPOINT"
_PER_PAGE = 50
"""The most that the API gives at once."""
_MOST_PAGES = 1000
_SECONDS = 30.0
_HINT = "check cluster.token: it must be a token of the project that the servers are in; reading is enough"


def endpoint() -> str:
    """The API's address; $HCLOUD_ENDPOINT names another, as for the ``hcloud`` command: a proxy, or the stand-in."""
    return os.environ.get(_VARIABLE, _ENDPOINT)


def is_hetzners_own() -> bool:
    """Whether that is Hetzner, and no proxy or stand-in."""
    return endpoint() == _ENDPOINT


def read(token: str, endpoint: str) -> Project:
    """Read the whole project; zones come with their record sets under ``rrsets``.

    Args:
        token: an API token; a read-only one is enough.
        endpoint: the API's address.

    Raises:
        SourceFailed: the API does not answer, or refuses.
    """
    import hcloud  # noqa: PLC0415 - a third of a second that only this source pays
    import requests  # noqa: PLC0415 - see above

    client = hcloud.Client(token=token, api_endpoint=endpoint, application_name="drkit", timeout=_SECONDS)
    try:
        project = {collection: list(_pages(client, f"/{collection}", collection)) for collection in COLLECTIONS}
        for zone in project["zones"]:
            zone["rrsets"] = list(_pages(client, f"/zones/{zone['id']}/rrsets", "rrsets"))
    except hcloud.APIException as error:
        raise SourceFailed(f"Hetzner's API refused: {error.message} ({error.code})", _HINT) from None
    except (requests.RequestException, OSError) as error:
        raise SourceFailed(f"Hetzner's API at {endpoint} does not answer: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceFailed(f"Hetzner's API answered with what is not understood: {error!r}") from None
    return project


def _pages(client: hcloud.Client, path: str, key: str) -> Iterator[dict[str, Any]]:
    page: int | None = 1
    for _ in range(_MOST_PAGES):
        answer = client.request("GET", path, params={"page": page, "per_page": _PER_PAGE})
        yield from answer[key]
        page = answer["meta"]["pagination"]["next_page"]
        if page is None:
            return
    raise SourceFailed(f"Hetzner's API has more than {_MOST_PAGES} pages of {key}")
