"""YAML that somebody else has written, within bounds: no file of one page fills the memory, or the day.

The parser's time and stack grow with the collections that are open at a time, and aliases multiply: a file of one page
can stand for billions of values. A real configuration is some levels deep and has hundreds of values; a kubeconfig of
many clusters has thousands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError

if TYPE_CHECKING:
    from ruamel.yaml import YAML

DEEPEST = 32
"""Collections in one another."""
MOST_VALUES = 50_000


class OutOfBounds(MarkedYAMLError):
    """It is deeper or has more values than these."""

    def __init__(self, what: str, mark: Any = None) -> None:
        super().__init__(problem=what, problem_mark=mark)


_DEEP = f"more than {DEEPEST} collections in one another"
_MANY = f"more than {MOST_VALUES} values"


class _Bounded(Composer):
    """Gives up at the first value too many: a composer is asked for each while the rest is still to be parsed."""

    _open = 0
    _values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._open += 1
        self._values += 1
        if self._open > DEEPEST + 1 or self._values > MOST_VALUES:
            what = _MANY if self._values > MOST_VALUES else _DEEP
            raise OutOfBounds(what, self.parser.peek_event().start_mark)
        found = super().compose_node(parent, index)
        self._open -= 1
        return found


def load(text: str | bytes, loader: YAML) -> Any:
    """What a text holds.

    Args:
        text: one document.
        loader: a new one, by ``pure`` Python: its settings count, and it is the one to write the document with.

    Raises:
        YAMLError: it is no YAML, or ``OutOfBounds``.
    """
    loader.Composer = _Bounded
    try:
        found = loader.load(text)
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError) as error:
        # The parser has endings of its own for what it never expected, such as an integer without a digit.
        raise YAMLError((str(error).splitlines() or ["malformed"])[0]) from None
    _see(found, 0, [MOST_VALUES])
    return found


def _see(value: Any, depth: int, budget: list[int]) -> None:
    """See that it is in bounds with all that its aliases stand for."""
    budget[0] -= 1
    if budget[0] < 0:
        raise OutOfBounds(f"{_MANY}, since aliases stand for many each")
    if depth > DEEPEST:
        raise OutOfBounds(f"{_DEEP}, since aliases stand for more")
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _see(each, depth + 1, budget)
