"""A source that could be read in part alone: stored, said, and never drawn on unless that was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.clock import SystemClock
from drkit.errors import NoSuchPoint, PreflightFailed
from drkit.manifests import read
from drkit.observe.progress import PlainReporter
from drkit.points.descriptor import PARTIAL
from drkit.points.retention import keep
from drkit.points.select import exactly, recovery_set
from drkit.points.signing import verifier
from drkit.restore.stream import Whole
from drkit.verify.run import Verify
from tests.contract.api_server import CONFIG_MAPS, resource
from tests.contract.cluster_site import ClusterSite, cluster_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterSite]:
    """A cluster with secrets that may not be listed."""
    with cluster_site(tmp_path, monkeypatch) as made:
        made.api.resources = [CONFIG_MAPS, resource("secrets", "Secret")]
        made.api.add(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "one"}, "data": {"a": "b"}})
        yield made


def test_what_was_read_is_stored_and_what_was_not_is_said(site: ClusterSite) -> None:
    """The point is incomplete and says why; what was read can be had back once that is accepted."""
    site.api.fail("/secrets", status=403, times=1000)
    sealed = site.backup()
    (source,) = sealed.sources
    assert (source.status, sealed.complete) == (PARTIAL, False)
    assert "v1/secrets: " in source.error
    (point,) = site.points().points
    assert not point.complete
    with pytest.raises(PreflightFailed, match="manifests is there in part"):
        exactly(point, accept_incomplete=False)
    (chosen,) = exactly(point, accept_incomplete=True).chosen
    with site.vault.open(chosen.source.archive) as archive:
        stream = Whole(archive, chosen.source)
        names = [obj["metadata"]["name"] for _, obj in read.objects(stream.read, sealed.sources[0].details)]
    assert names == ["a"]


def test_it_is_never_drawn_on_in_silence(site: ClusterSite) -> None:
    """The newest whole one is taken, with a warning; where none is whole, none is taken."""
    fault = site.api.fail("/secrets", status=403, times=1000)
    site.backup()
    with pytest.raises(NoSuchPoint):
        recovery_set(site.points().points)
    fault.times = 0
    whole = site.backup()
    fault.times = 1000
    site.backup()
    drawn = recovery_set(site.points().points)
    assert [each.point.id for each in drawn.chosen] == [whole.id]
    assert "does not have it whole" in drawn.warnings[0]


def test_one_reason_is_said_once(site: ClusterSite) -> None:
    """Many kinds that fail alike are one complaint, and the details name each."""
    site.api.resources += [resource(f"kinds{number}", "Kind", "example.com") for number in range(30)]
    site.api.fail("/kinds|/secrets", status=403, body=b'{"message": "no", "code": 403}', times=1000)
    (source,) = site.backup().sources
    assert len(source.error) < 1500
    assert len(source.details["lacking"]) == 31


def test_its_archive_is_kept_and_checked_like_any_other(site: ClusterSite) -> None:
    """Verification reads what is there of it, sees when it is gone, and retention keeps the last one."""
    site.api.fail("/secrets", status=403, times=1000)
    first, second = site.backup(), site.backup()
    listed = site.points()
    assert second.id in keep(listed.points, site.config.vaults["cluster"].keep, "cluster")
    verify = Verify(site.config, {"cluster": site.vault}, verifier(site.config), SystemClock(), PlainReporter())
    verify.checksums(listed.find(first.id))
    assert verify.findings.wrong == []
    assert [item.what for item in verify.findings.items] == [f"point {first.id}", "manifests"]
    site.vault.delete([first.sources[0].archive])
    assert site.points().find(first.id).missing == ("manifests",)
