"""Who is told what, put together: the scheduler's listener, and what ``drkit notify`` does."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from drkit import state
from drkit.cluster import fields
from drkit.config import secrets
from drkit.errors import ConfigurationError, DrkitError, NotDelivered
from drkit.observe.notify import troubles
from drkit.observe.notify.news import Message, Told, message, news, remembered, short
from drkit.observe.notify.send import AppriseServices, Pings, secret_parts
from drkit.points.names import slug
from drkit.schedule.events import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.observe.notify.news import Memory, Trouble
    from drkit.observe.notify.send import Signal
    from drkit.observe.progress import Reporter
    from drkit.observe.standing.judge import Standing
    from drkit.schedule.events import Event

_WAIT = 60.0
_LARGEST_BYTES = 4 * 1024 * 1024
_PINGS: dict[Change, Signal] = {
    Change.SUCCESS: "success",
    Change.RECOVERY: "success",
    Change.FAILURE: "fail",
    Change.STILL_FAILING: "fail",
}


class Notifier:
    """Tells people and dead man's switches. Safe to use from several threads and processes.

    What people know of is kept in drkit's state directory; a message that nobody took is told again the next time.

    Args:
        config: says who is told what.
        clock: the time.
        reporter: told of what could not be delivered: a job is no worse for it.

    Raises:
        ConfigurationError: an address is not there or is none, or Apprise is not installed and is needed.
    """

    def __init__(self, config: Config, clock: Clock, reporter: Reporter) -> None:
        self._cluster, self._notify = config.cluster.name, config.notify
        self._clock, self._reporter = clock, reporter
        urls = [
            secret_parts(secrets.fetch(each, f"notify.urls.{number}")) for number, each in enumerate(self._notify.urls)
        ]
        self._services = AppriseServices(urls) if urls else None
        self._switches = {
            name: secret_parts(secrets.fetch(each, f"notify.ping.{name}")) for name, each in self._notify.ping.items()
        }
        for name, url in self._switches.items():
            if not url.startswith(("http://", "https://")):
                raise ConfigurationError(f"notify.ping.{name}: expected an address that begins with https://")
        self._pings = Pings()

    def __call__(self, event: Event) -> None:
        """Take one piece of news of a job: the dead man's switch first, then people. Never raises what is its own."""
        if event.change in _PINGS:
            self._ping(event.job, event.kind, _PINGS[event.change], short(event.summary))
        found, well = troubles.of_event(event)
        try:
            self._tell(lambda _: (found, well))
        except DrkitError as error:
            self._reporter.warn(error.message)

    def started(self, job: str, kind: str) -> None:
        """Tell the job's dead man's switch that a run begins, so that it knows how long it takes, and sees it hang."""
        self._ping(job, kind, "start", "")

    def _ping(self, job: str, kind: str, signal: Signal, body: str) -> None:
        name = job if job in self._switches else kind
        if name not in self._switches:
            return
        wrong = self._pings.ping(self._switches[name], signal, body)
        if wrong:
            self._reporter.warn(f"notify.ping.{name}: {wrong}")

    def standing(self, stands: Standing) -> Message | None:
        """Tell people what is new about where the cluster stands; what they were told, None where there was no news.

        Raises:
            ConfigurationError: ``notify.urls`` is empty.
            NotDelivered: nobody took the message; it is told again the next time.
        """
        self._needed()
        return self._tell(lambda memory: troubles.of_standing(stands, memory))

    def test(self) -> Message:
        """Send a message that says it is a test.

        Raises:
            ConfigurationError: ``notify.urls`` is empty.
            NotDelivered: a service did not take it.
        """
        said = Message("recovery", f"{self._cluster}: a test", "This is a test of drkit's messages. Nothing happened.")
        wrong = self._needed().send(said)
        if wrong:
            raise NotDelivered("\n".join(wrong), "see that the address is right, and that it is reached from here")
        return said

    def _needed(self) -> AppriseServices:
        if self._services is None:
            raise ConfigurationError(
                "notify.urls: expected at least one address to send messages to",
                "add notify: {urls: [{env: NOTIFY_URL}]}",
            )
        return self._services

    def _tell(self, found: Callable[[Memory], tuple[Iterable[Trouble], Iterable[str]]]) -> Message | None:
        """Tell what is new of troubles and of keys that are well; remembered is what somebody took."""
        if self._services is None:
            return None
        name = f"notify-{slug(self._cluster)}"
        busy = NotDelivered("another drkit has been sending messages for a minute", "they come with its next run")
        with state.exclusive(name, "drkit notify", _WAIT, lambda _: busy, lambda _: None):
            memory, now = self._memory(), self._clock.now()
            present, well = found(memory)
            told = news(memory, present, tuple(well), now, self._notify.on, self._notify.remind)
            said = message(self._cluster, told, memory, now) if told else None
            if said is not None:
                wrong = self._services.send(said)
                for each in wrong:
                    self._reporter.warn(each)
                if len(wrong) == len(self._services):
                    raise NotDelivered("nobody took the message; it is told again the next time", "drkit notify --test")
            if told or told.quietly:
                after = remembered(memory, told, now)
                state.write_durably(self._file(), json.dumps({key: asdict(each) for key, each in after.items()}))
        return said

    def _file(self) -> Path:
        return state.state_dir() / "notify" / f"{slug(self._cluster)}.json"

    def _memory(self) -> Memory:
        """What people know of; nothing where the file is not there or is none: better told twice than never."""
        try:
            if self._file().stat().st_size > _LARGEST_BYTES:
                return {}
            document = json.loads(self._file().read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        found = fields.mapping({"told": document}, "told")
        return {
            key: Told(fields.text(each, "text"), fields.text(each, "since"), fields.text(each, "at"))
            for key, each in found.items()
        }
