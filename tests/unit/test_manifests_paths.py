"""Where an object's file is in an export."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drkit.cluster.kube import Resource
from drkit.manifests import paths

KIND = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False, verbs=frozenset())
_names = st.one_of(
    st.text(max_size=30), st.text("aAbB:%~./", max_size=6), st.text("x:", min_size=240, max_size=260), st.just("con")
)


@given(_names, _names)
def test_every_name_has_a_file_of_its_own(one: str, other: str) -> None:
    """Any two names have two files, also where the file system does not tell case, and none leaves its directory."""
    paths_of = [paths.of_object(KIND, "", name) for name in (one, other)]
    assert (paths_of[0].lower() == paths_of[1].lower()) == (one == other)
    for path in paths_of:
        assert path.isascii()
        assert path.isprintable()
        parts = path.split("/")
        assert len(parts) == 5
        assert all(0 < len(part) <= 255 and part not in {".", ".."} for part in parts)


def test_ordinary_names_are_readable() -> None:
    """By scope, namespace, group and kind, and name."""
    pods = Resource("", "v1", "pods", "Pod", namespaced=True, verbs=frozenset())
    assert paths.of_object(pods, "kube-system", "a.b-c") == "objects/namespaces/kube-system/core/pods/a.b-c.yaml"
    role = paths.of_object(KIND, "", "system:Node")
    assert role == "objects/cluster/rbac.authorization.k8s.io/clusterroles/system%3a%4eode.yaml"
    assert paths.of_raw(pods) == "raw/core/pods.jsonl"
