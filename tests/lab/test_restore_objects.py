"""A sealed export put into a fresh cluster's API: real API servers, whose objects nobody runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from drkit.errors import RestoreFailed
from drkit.restore.objects.apply import apply
from drkit.restore.objects.gather import gather
from tests.lab import every_kind
from tests.lab.planes import Plane, plane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object
    from drkit.restore.objects.gather import Gathered
    from tests.exported import Exported

# Building their program needs what the lab needs.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("control-plane")]

PREFIX = "old"


@pytest.fixture(scope="module")
def sealed() -> Iterator[Exported]:
    """The export of a cluster with an object of every built-in kind."""
    with plane() as old:
        definition = every_kind.definition(PREFIX)
        old.make([definition])
        old.kubectl("wait", "--for=condition=Established", f"crd/{definition['metadata']['name']}")
        old.make(every_kind.objects(PREFIX, f"{PREFIX}-in"))
        yield old.export()


@pytest.fixture
def new() -> Iterator[Plane]:
    """A fresh cluster."""
    with plane() as made:
        yield made


@contextmanager
def gathered(exported: Exported) -> Iterator[Gathered]:
    """Its objects as a restore has them."""
    with gather(exported.wished) as found:
        yield found


def files(exported: Exported) -> dict[str, bytes]:
    """The objects that a restore applies."""
    return {path: content for path, content in exported.files.items() if path.startswith("objects/")}


def test_a_fresh_cluster_becomes_the_old_one(sealed: Exported, new: Plane) -> None:
    """Export, apply to a fresh cluster, export: every file is equal; a second run finds all there and changes nothing."""
    with gathered(sealed) as objects:
        first = apply(new.api, objects)
        assert first.applied > 50
        assert first.replaced == ()
        again = new.export()
        assert sorted(files(again)) == sorted(files(sealed))
        different = [path for path, content in files(sealed).items() if files(again)[path] != content]
        assert different == []
        second = apply(new.api, objects)
    assert second.applied == 0
    assert second.equal == len(files(sealed))
