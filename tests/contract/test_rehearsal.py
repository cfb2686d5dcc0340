"""A rehearsal's namespaces in a cluster that lives: made, and removed when their time is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from drkit.cluster.api import connect
from drkit.errors import TargetNotEmpty
from drkit.restore.quarantine import labels
from drkit.restore.rehearsal import make_namespaces, reap_namespaces
from tests.contract.api_server import NAMESPACES, MemoryApi, memory_api

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A cluster with two namespaces of its own."""
    with memory_api() as made:
        for name in ("default", "docfast"):
            made.add(NAMESPACES, {"metadata": {"name": name, "uid": f"uid-{name}"}})
        yield made


def names(memory: MemoryApi) -> set[str]:
    """The namespaces that are there."""
    return {each["metadata"]["name"] for each in memory.objects[NAMESPACES.path]}


def test_what_has_outlived_its_time_goes_and_nothing_else(memory: MemoryApi) -> None:
    """Of two rehearsals the one that is over goes with its namespaces; those of the cluster itself stay."""
    api = connect(memory.access)
    make_namespaces(api, ["a-copy", "b-copy"], labels("first", NOW))
    make_namespaces(api, ["c-copy"], labels("second", NOW + timedelta(hours=1)))
    assert list(reap_namespaces(api, NOW - timedelta(seconds=1))) == []
    assert {each.name for each in reap_namespaces(api, NOW)} == {"a-copy", "b-copy"}
    assert list(reap_namespaces(api, NOW)) == []
    assert names(memory) == {"default", "docfast", "c-copy"}


def test_a_rehearsal_goes_on_with_its_own_namespaces(memory: MemoryApi) -> None:
    """Begun again, it finds what it made before."""
    api = connect(memory.access)
    for _ in range(2):
        make_namespaces(api, ["a-copy"], labels("first", NOW))
    assert names(memory) == {"default", "docfast", "a-copy"}


@pytest.mark.parametrize("taken", ["docfast", "a-copy"])
def test_a_namespace_of_others_is_not_taken(memory: MemoryApi, taken: str) -> None:
    """Neither one that lives nor another rehearsal's gets a label by which it would be removed."""
    api = connect(memory.access)
    make_namespaces(api, ["a-copy"], labels("first", NOW))
    before = memory.objects[NAMESPACES.path]
    with pytest.raises(TargetNotEmpty, match=taken):
        make_namespaces(api, [taken], labels("second", NOW))
    assert memory.objects[NAMESPACES.path] == before
