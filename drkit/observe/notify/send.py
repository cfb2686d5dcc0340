"""Messages through Apprise, pings by HTTP: a service that refuses is told of, without its address."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

import urllib3

from drkit.errors import ConfigurationError
from drkit.masking import mask, register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.observe.notify.news import Message

Signal = Literal["start", "success", "fail"]
_DEADLINE = 10.0
_TRIES = 3
_TOKEN = 16
"""Shorter parts of an address are words, such as ``services``."""
_SUFFIXES: dict[Signal, str] = {"start": "/start", "success": "", "fail": "/fail"}
_REFUSED = 300
"""A redirection is none of ours to follow: the address is wrong."""


class AppriseServices:
    """Services by Apprise's addresses.

    Args:
        urls: their addresses.

    Raises:
        ConfigurationError: Apprise is not installed, or an address is of no service that it knows.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        try:
            import apprise  # noqa: PLC0415 - an extra, and a second to import
        except ImportError:
            raise ConfigurationError(
                "notify.urls: messages are sent through Apprise, which is not installed",
                "pip install 'drkit[notify]', or use notify.ping alone",
            ) from None
        # It logs what it sends where to, addresses included, even where nobody set logging up.
        logger = logging.getLogger("apprise")
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
        self._services: list[apprise.Apprise] = []
        asset = apprise.AppriseAsset(app_id="drkit", app_desc="drkit", app_url="")
        self._kinds: dict[str, apprise.NotifyType] = {
            "failure": apprise.NotifyType.FAILURE,
            "missed": apprise.NotifyType.WARNING,
            "recovery": apprise.NotifyType.SUCCESS,
        }
        for number, url in enumerate(urls):
            service = apprise.Apprise(asset=asset)
            if not service.add(url):
                raise ConfigurationError(
                    f"notify.urls.{number}: this is no address of a service that Apprise knows",
                    "see its documentation for the form of your service's",
                )
            self._services.append(service)

    def send(self, message: Message) -> list[str]:
        """Send to all; what could not be delivered, one line each."""
        import apprise  # noqa: PLC0415 - see __init__

        wrong = []
        for number, service in enumerate(self._services):
            sent = service.notify(
                body=message.body,
                title=message.title,
                notify_type=self._kinds[message.kind],
                body_format=apprise.NotifyFormat.TEXT,
            )
            if not sent:
                wrong.append(f"notify.urls.{number}: the message was not taken")
        return wrong

    def __len__(self) -> int:
        return len(self._services)


class Pings:
    """Dead man's switches: they raise the alarm by themselves when nobody tells them for too long that all is well."""

    def __init__(self) -> None:
        retries = urllib3.Retry(
            total=_TRIES - 1,
            backoff_factor=0.5,
            status_forcelist={429, 500, 502, 503, 504},
            allowed_methods=None,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        self._pool = urllib3.PoolManager(timeout=_DEADLINE, retries=retries)

    def ping(self, url: str, signal: Signal, body: str = "") -> str:
        """Tell one that a job began, ended well, or failed; what is wrong where it did not take that, else nothing.

        Args:
            url: its address, as healthchecks.io has them; ``/start`` and ``/fail`` are added to the path.
            signal: which of the three.
            body: a few words for whoever looks there.
        """
        parts = urlsplit(url)
        address = urlunsplit(parts._replace(path=parts.path.rstrip("/") + _SUFFIXES[signal]))
        try:
            answer = self._pool.request("POST", address, body=mask(body).encode(), redirect=False)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            return f"it does not answer ({type(error).__name__})"
        return f"it answered with HTTP {answer.status}" if answer.status >= _REFUSED else ""


def secret_parts(url: str) -> str:
    """Have the parts of an address that may be a token masked wherever they show, and return it unchanged."""
    parts = urlsplit(url)
    for part in (parts.password, parts.username, parts.path.strip("/"), *parts.path.split("/"), parts.query):
        if part and len(part) >= _TOKEN:
            register(part)
    return url
