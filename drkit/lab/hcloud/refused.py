"""How the API refuses: HTTP's status, a code, a sentence."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """An answer with an error in it.

    Args:
        status: HTTP's.
        code: the API's word.
        message: for people.
        details: what the API adds for that code.
    """

    def __init__(self, status: int, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details

    def document(self) -> dict[str, Any]:
        """The answer's body."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details or {}}}


def not_found(what: str) -> Refused:
    """There is no such thing."""
    return Refused(404, "not_found", f"{what} not found")


def invalid(field: str, why: str) -> Refused:
    """A field of the request cannot be taken."""
    fields = {"fields": [{"name": field, "messages": [why]}]}
    return Refused(422, "invalid_input", f"invalid input in field '{field}': {why}", fields)


def not_unique(field: str, what: str) -> Refused:
    """Another thing has that already."""
    return Refused(409, "uniqueness_error", f"{what} is already used", {"fields": [{"name": field}]})


def locked(what: str) -> Refused:
    """An action is under way there."""
    return Refused(423, "locked", f"{what} is locked: an action is running")
