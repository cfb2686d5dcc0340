"""Comparing what is there with what was sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.restore.objects.compare import KindProof, Proof, Wishes, of_kind
from drkit.restore.objects.kept import Own
from tests.contract.api_server import CONFIG_MAPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.cluster.kube import Object


def config_map(name: str, api_version: str = "v1", **data: str) -> Object:
    """As a restore applies it."""
    return {
        "apiVersion": api_version,
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "one"},
        "data": data,
    }


def listed(obj: Object, **metadata: Any) -> Object:
    """As an API lists it."""
    return {"metadata": {**obj["metadata"], "uid": "u", "resourceVersion": "7", **metadata}, "data": obj["data"]}


def compared(sealed: Sequence[Object | None], live: Sequence[Object], *, with_extra: bool = True) -> KindProof:
    """The proof."""
    by_name = {("one", obj["metadata"]["name"] if obj else "left-out"): obj for obj in sealed}
    return of_kind(CONFIG_MAPS, Wishes(tuple(by_name), by_name.__getitem__), live, Own(), with_extra=with_extra)


def test_what_the_server_adds_is_no_difference() -> None:
    """Identifiers, and the version in which the API serves a kind now, tell nothing of what was sealed."""
    proof = compared([config_map("a", "v1beta1", a="b")], [listed(config_map("a", a="b"))])
    assert proof == KindProof("core/configmaps", 1, found=1)
    assert Proof((proof,)).equal


def test_each_difference_is_told() -> None:
    """Missing, different, left out and extra objects are told apart, and what nobody would restore is not extra."""
    live = [listed(config_map(name)) for name in ("b", "more", "kube-root-ca.crt")]
    proof = compared([config_map("a"), config_map("b", a="1"), None], live)
    assert (proof.sealed, proof.left_out, proof.found) == (3, 1, 1)
    assert proof.missing == ("one/a",)
    assert [(each.name, each.fields[0].path, each.fields[0].change) for each in proof.different] == [
        ("b", "data.a", "removed")
    ]
    assert proof.extra == ("one/more",)
    whole = Proof((proof,))
    assert (whole.complete, whole.equal) == (False, False)
    assert whole.as_json()["kinds"][0]["missing"] == ("one/a",)


def test_a_part_says_nothing_of_the_rest() -> None:
    """Where only some objects were to be restored, the others are not extra."""
    assert compared([config_map("a")], [listed(config_map(name)) for name in ("a", "b")], with_extra=False).extra == ()


def test_what_differs_and_is_the_clusters_own_is_set_apart() -> None:
    """An object that k3s keeps itself is neither missing nor different."""
    live = listed(config_map("coredns", a="new"), managedFields=[{"manager": "deploy@server-1"}])
    proof = compared([config_map("coredns", a="old")], [live])
    assert (proof.kept, proof.different) == (("one/coredns",), ())
    assert Proof((proof,)).equal
