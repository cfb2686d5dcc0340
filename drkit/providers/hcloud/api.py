"""Hetzner Cloud's API through the library ``hcloud``: what passes by itself is waited for, the rest is said.

Things are dicts, as the API gives them. Source of all rules: https://docs.hetzner.cloud/ (errors, actions, labels).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import hcloud

    from drkit.observe.progress import Reporter

Raw = dict[str, Any]
"""A thing as the API gives it."""

NOT_FOUND, NOT_UNIQUE, IN_USE = "not_found", "uniqueness_error", "resource_in_use"
SOLD_OUT = frozenset({"resource_unavailable", "placement_error"})
"""There is no room for this type in this location now."""
LIMIT = "resource_limit_exceeded"
_PASSES = frozenset(
    {"locked", "conflict", "rate_limit_exceeded", "timeout", "unavailable", "server_error", "bad_gateway"}
)
"""What the API says while something else is under way there, or while it is itself in trouble."""
_TROUBLE = 500
"""HTTP's statuses from here on are the API's own trouble; they come without a word of the API's."""

_PER_PAGE = 50
_MOST_PAGES = 1000
_REQUEST_SECONDS = 30.0
_LONGEST_PAUSE = 15.0
_SAY_EVERY_SECONDS = 15.0

_HINTS = {
    "unauthorized": "the token is wrong, or was taken back: make one in the project (Security, API tokens)",
    "token_readonly": "making servers needs a token that may read and write",
    "forbidden": "making servers needs a token that may read and write",
    "maintenance": "Hetzner works on that: see status.hetzner.com, and go on later with --resume",
    "protected": "it is protected against that: lift the protection in the project, if that is right",
    LIMIT: "ask Hetzner for a higher limit (in the console: Limits), or delete what nobody needs; then --resume",
}


class Api:
    """One project's API; threads may share it.

    Args:
        token: it may read and write.
        endpoint: the API's address.
        reporter: told of what takes long.
        patience: seconds for which something that passes by itself is waited for, and an action that runs.
        pause: seconds between two questions; longer while the API is busy.
    """

    def __init__(
        self, token: str, endpoint: str, reporter: Reporter, *, patience: float = 900.0, pause: float = 1.0
    ) -> None:
        self.patience, self.pause = patience, pause
        self.reporter = reporter
        self._token, self._endpoint = token, endpoint
        self._clients = threading.local()

    def get(self, path: str, key: str) -> Raw | None:
        """A thing; None where it is not there."""
        try:
            answer = self._request("GET", path)
        except ProviderFailed as error:
            if error.code == NOT_FOUND:
                return None
            raise
        found: Raw = answer[key]
        return found

    def all(self, path: str, key: str, **params: str) -> list[Raw]:
        """All things of a kind, page by page."""
        found: list[Raw] = []
        page: int | None = 1
        for _ in range(_MOST_PAGES):
            answer = self._request("GET", path, params={**params, "page": page, "per_page": _PER_PAGE})
            found += answer[key]
            page = answer["meta"]["pagination"]["next_page"]
            if page is None:
                return found
        raise ProviderFailed(f"Hetzner's API has more than {_MOST_PAGES} pages of {key}")

    def named(self, collection: str, name: str) -> Raw | None:
        """The thing of that name."""
        return next((each for each in self.all(f"/{collection}", collection, name=name) if each["name"] == name), None)

    def labelled(self, collection: str, label: str, value: str) -> list[Raw]:
        """The things with that label."""
        return self.all(f"/{collection}", collection, label_selector=f"{label}=={value}")

    def make(self, collection: str, key: str, body: Mapping[str, Any]) -> tuple[Raw, list[Raw]]:
        """Make a thing, and return it with the actions that are under way.

        Where the answer was lost and the API was asked again it says that the name is taken: by that same thing.

        Raises:
            ProviderFailed: with ``uniqueness_error`` where the name is another one's.
        """
        try:
            answer = self.post(f"/{collection}", body)
        except ProviderFailed as error:
            found = self.named(collection, body["name"]) if error.code == NOT_UNIQUE else None
            if found is None or found["labels"] != body["labels"]:
                raise
            return found, []
        started = [answer.get("action"), *answer.get("next_actions", ())]
        return answer[key], [each for each in started if each]

    def post(self, path: str, body: Mapping[str, Any]) -> Raw:
        """Make something, and return the whole answer."""
        return self._request("POST", path, json=dict(body))

    def change(self, path: str, key: str, **body: Any) -> Raw:
        """Change a thing's name or labels."""
        changed: Raw = self._request("PUT", path, json=body)[key]
        return changed

    def act(self, path: str, body: Mapping[str, Any] | None = None, *, done: Iterable[str] = ()) -> None:
        """Start an action, and wait until it has ended.

        Args:
            path: such as ``/servers/42/actions/poweroff``.
            body: what it needs to know.
            done: codes of errors that say that it had been done before.
        """
        try:
            answer = self.post(path, body or {})
        except ProviderFailed as error:
            if error.code not in done:
                raise
            return
        self.finish([answer["action"]])

    def delete(self, path: str) -> bool:
        """Delete a thing and wait until it is gone; whether it was there."""
        until = time.monotonic() + self.patience
        while True:
            try:
                answer = self._request("DELETE", path)
            except ProviderFailed as error:
                if error.code == NOT_FOUND:
                    return False
                # What used it is being deleted too, and the API takes its time.
                if error.code != IN_USE or time.monotonic() > until:
                    raise
                process.pause(self.pause)
            else:
                self.finish([answer["action"]] if answer.get("action") else [])
                return True

    def finish(self, actions: Iterable[Raw]) -> None:
        """Wait until actions have ended.

        Raises:
            ProviderFailed: one failed, with the action's code; or it still runs.
        """
        for action in actions:
            self._finish(action)

    def _finish(self, action: Raw) -> None:
        began = said = time.monotonic()
        while action["status"] == "running":
            now = time.monotonic()
            if now - began > self.patience:
                raise ProviderFailed(
                    f"Hetzner: {action['command']} still runs after {self.patience:.0f} s ({action['progress']} %)",
                    "see status.hetzner.com; --resume goes on with what is there",
                )
            if now - said > _SAY_EVERY_SECONDS:
                self.reporter.note(f"Hetzner: {action['command']}: {action['progress']} %")
                said = now
            process.pause(self.pause)
            action = self._request("GET", f"/actions/{action['id']}")["action"]
        if action["status"] == "error":
            error = action["error"]
            raise ProviderFailed(
                f"Hetzner: {action['command']} failed: {error['message']} ({error['code']})", code=str(error["code"])
            )

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait for a condition.

        Raises:
            ProviderFailed: it did not come true within the bound.
        """
        until = time.monotonic() + self.patience
        while not holds():
            if time.monotonic() > until:
                raise ProviderFailed(f"Hetzner: {what}: not within {self.patience:.0f} s", "--resume goes on waiting")
            process.pause(self.pause)

    def _request(self, method: str, path: str, **more: Any) -> Raw:
        """One request, made again while the API is busy or does not answer."""
        import requests  # noqa: PLC0415 - a third of a second that only this provider pays
        from hcloud import APIException  # noqa: PLC0415 - see above

        until = time.monotonic() + self.patience
        pause = self.pause
        while True:
            try:
                answer: Raw = self._client().request(method, path, **more)
            except APIException as error:
                if not _passes(error.code) or time.monotonic() > until:
                    raise refusal(error, f"{method} {path}") from None
                why = f"{error.message} ({error.code})"
            except (requests.RequestException, OSError) as error:
                if time.monotonic() > until:
                    raise ProviderFailed(
                        f"Hetzner's API at {self._endpoint} does not answer: {error}",
                        "see the network here, and status.hetzner.com; --resume goes on",
                    ) from None
                why = f"no answer: {type(error).__name__}"
            else:
                return answer
            self.reporter.note(f"Hetzner: {method} {path}: {why}; asking again in {pause:.0f} s")
            process.pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _client(self) -> hcloud.Client:
        """One for each thread: a session is not safe for several."""
        client: hcloud.Client | None = getattr(self._clients, "client", None)
        if client is None:
            import hcloud  # noqa: PLC0415 - see _request

            client = hcloud.Client(
                self._token,
                self._endpoint,
                application_name="drkit",
                timeout=_REQUEST_SECONDS,
                poll_interval=self.pause,
            )
            self._clients.client = client
        return client


def _passes(code: int | str) -> bool:
    return code >= _TROUBLE if isinstance(code, int) else code in _PASSES


def refusal(error: hcloud.APIException, what: str) -> ProviderFailed:
    """What the user is told of a refusal, with the limits and fields that the API names."""
    details = error.details if isinstance(error.details, dict) else {}
    named = [*details.get("limits", ()), *details.get("fields", ())]
    names = ", ".join(str(each.get("name")) for each in named if isinstance(each, dict))
    more = f" [{names}]" if names else ""
    code = str(error.code)
    return ProviderFailed(
        f"Hetzner's API refused {what}: {error.message} ({code}){more}", _HINTS.get(code, ""), code=code
    )


@contextmanager
def understood() -> Iterator[None]:
    """Say it where the API's answers in the body are not as documented.

    Raises:
        ProviderFailed: they were not.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ProviderFailed(
            f"Hetzner's API answered with what is not understood: {error!r}", "is $HCLOUD_ENDPOINT its address?"
        ) from error
