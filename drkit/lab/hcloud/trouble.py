"""Trouble by order: answers that are refused, late or lost, actions that fail, types that are sold out, limits."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drkit.lab.hcloud.refused import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping


class Lost(Exception):
    """The connection is cut without an answer."""


@dataclass
class Fault:
    """What happens to requests.

    Attributes:
        path: a regular expression for the whole path behind ``/v1``.
        method: HTTP's; empty for any.
        times: how many requests it still happens to.
        status: HTTP's, of the answer that is given instead.
        code: the API's word; empty for an answer that comes from no API, as a proxy gives it.
        after: whether the request is carried out, and only its answer is lost.
        cut: whether the connection is cut instead of an answer.
        delay: seconds before anything happens.
        passes: how many requests it leaves alone first.
    """

    path: str
    method: str = ""
    times: int = 1
    status: int = 0
    code: str = ""
    after: bool = False
    cut: bool = False
    delay: float = 0.0
    passes: int = 0

    def hits(self, method: str, path: str) -> bool:
        """Whether it is this request's turn; counts."""
        if self.times <= 0 or (self.method and self.method != method) or not re.fullmatch(self.path, path):
            return False
        if self.passes > 0:
            self.passes -= 1
            return False
        self.times -= 1
        return True

    def strike(self) -> None:
        """Do it.

        Raises:
            Refused: it is an answer.
            Lost: it is none.
        """
        if self.cut:
            raise Lost
        if self.status:
            raise Refused(self.status, self.code, f"by order: {self.code or self.status}")


@dataclass
class FailedAction:
    """Actions that end with an error.

    Attributes:
        command: such as ``create_server``.
        code: of the error.
        times: how many still do.
    """

    command: str
    code: str
    times: int = 1


@dataclass
class Trouble:
    """All that is ordered now.

    Attributes:
        seconds: how long each action takes at least.
        sold_out: server types and locations that have no room for them.
        limits: how many things of a collection the project may have.
        faults: what happens to requests.
        failing: actions that fail.
    """

    seconds: float = 0.0
    sold_out: set[tuple[str, str]] = field(default_factory=set)
    limits: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    failing: list[FailedAction] = field(default_factory=list)

    def order(self, document: Mapping[str, Any]) -> None:
        """Take an order as JSON: any of the attributes; ``sold_out`` as ``[["cax11", "nbg1"]]``.

        Raises:
            Refused: it is none.
        """
        try:
            if "seconds" in document:
                self.seconds = float(document["seconds"])
            if "sold_out" in document:
                self.sold_out = {(str(kind), str(location)) for kind, location in document["sold_out"]}
            if "limits" in document:
                self.limits = {str(name): int(most) for name, most in document["limits"].items()}
            if "faults" in document:
                self.faults = [Fault(**each) for each in document["faults"]]
            if "failing" in document:
                self.failing = [FailedAction(**each) for each in document["failing"]]
        except (TypeError, ValueError, AttributeError) as error:
            raise Refused(422, "invalid_input", str(error)) from None

    def before(self, method: str, path: str) -> Fault | None:
        """What a request meets on its way; a fault that comes back is to ``strike`` after it was carried out."""
        for fault in self.faults:
            if fault.hits(method, path):
                time.sleep(fault.delay)
                if fault.after:
                    return fault
                fault.strike()
        return None

    def of_action(self, command: str) -> str:
        """The code that an action fails with; empty where it does not."""
        for each in self.failing:
            if each.command == command and each.times > 0:
                each.times -= 1
                return each.code
        return ""
