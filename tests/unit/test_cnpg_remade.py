"""The Cluster that takes the place of one whose volumes are lost, and how that one goes."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.cluster.cnpg import PostgresCluster
from drkit.restore.cnpg import remade, removal
from drkit.restore.cnpg.remade import RESTORE, Remade, problems, remake, volume_bytes
from drkit.restore.cnpg.removal import Belongings, belongings, note, noted, operations

Object = dict[str, Any]

CLUSTER = PostgresCluster("postgres", "main-db")
OWNER = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Cluster",
    "name": "main-db",
    "uid": "u1",
    "controller": True,
}
ID = "20260301t120000z-abc123"


def cluster(spec: Object | None = None, **metadata: Any) -> Object:
    """The reference cluster's, as its datastore has it."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {
            "name": "main-db",
            "namespace": "postgres",
            "uid": "u1",
            "resourceVersion": "7",
            "generation": 3,
            "managedFields": [{}],
            **metadata,
        },
        "spec": {
            "instances": 2,
            "imageName": "ghcr.io/cloudnative-pg/postgresql:17.2-1",
            "storage": {"size": "10Gi"},
            **(spec or {}),
        },
        "status": {"instanceNames": ["main-db-1"], "currentPrimary": "main-db-1"},
    }


def secret(name: str, *owners: Object, **data: str) -> Object:
    """A secret of the namespace."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata: Object = {"name": name, "namespace": "postgres", "uid": name}
    return {"metadata": {**metadata, **({"ownerReferences": list(owners)} if owners else {})}, "data": encoded}


def thing(name: str, *, labels: Object | None = None, spec: Object | None = None, **metadata: Any) -> Object:
    """A pod, a claim or the like."""
    return {
        "metadata": {"name": name, "namespace": "postgres", "uid": f"uid {name}", "labels": labels or {}, **metadata},
        "spec": spec or {},
    }


def initdb(made: Remade) -> Object:
    """How the made Cluster begins."""
    (method,) = made.cluster["spec"]["bootstrap"]
    assert method == "initdb"
    return dict(made.cluster["spec"]["bootstrap"]["initdb"])


def test_it_begins_empty_with_the_same_owner_and_password() -> None:
    """Database, owner and secret are the same; what was run once when it began is not run again, and said."""
    asked = {
        "database": "shop",
        "owner": "keeper",
        "secret": {"name": "mine"},
        "dataChecksums": True,
        "postInitSQL": ["create role \"x\" password 'secret'"],
    }
    made = remake(cluster({"bootstrap": {"initdb": asked}}), [], {}, ID)
    assert initdb(made) == {
        "database": "shop",
        "owner": "keeper",
        "secret": {"name": "mine"},
        "dataChecksums": True,
    }
    assert (made.database, made.owner) == ("shop", "keeper")
    assert made.warnings == ("what was run once when it began is not run again (postInitSQL)",)


def test_without_a_word_its_secret_says_who_owns_what() -> None:
    """Where the spec names no owner, the applications' secret does; where there is none, they are CloudNativePG's."""
    secrets = [secret("main-db-app", username="docfast", dbname="papers", password="p")]
    made = remake(cluster(), secrets, {}, ID)
    assert initdb(made) == {"database": "papers", "owner": "docfast", "secret": {"name": "main-db-app"}}
    assert initdb(remake(cluster(), [], {}, ID))["owner"] == "app"


@pytest.mark.parametrize("method", ["recovery", "pg_basebackup"])
def test_what_it_once_came_from_is_not_looked_for(method: str) -> None:
    """A cluster that was recovered or copied begins empty too, and is no replica of another one."""
    spec = {
        "bootstrap": {method: {"source": "old", "database": "shop", "owner": "keeper", "secret": {"name": "s"}}},
        "externalClusters": [{"name": "old"}],
        "replica": {"enabled": True, "source": "old"},
    }
    made = remake(cluster(spec), [], {}, ID)
    assert initdb(made) == {"database": "shop", "owner": "keeper", "secret": {"name": "s"}}
    assert not {"externalClusters", "replica"} & made.cluster["spec"].keys()
    assert len(made.warnings) == 3


def test_encoding_and_locale_are_those_of_the_database() -> None:
    """What the descriptor says of the database counts for more than what the Cluster once asked for."""
    details = {
        "encoding": "UTF8",
        "properties": {"collate": "de_DE.utf8", "ctype": "de_DE.utf8", "provider": "icu", "locale": "de"},
    }
    spec = {"bootstrap": {"initdb": {"database": "shop", "encoding": "LATIN1", "walSegmentSize": 32}}}
    made = initdb(remake(cluster(spec), [], {"shop": details, "other": {}}, ID))
    assert made["encoding"] == "UTF8"
    assert (made["localeCollate"], made["localeProvider"], made["icuLocale"]) == ("de_DE.utf8", "icu", "de")
    assert made["walSegmentSize"] == 32


def test_the_dead_clusters_backups_are_never_written_to() -> None:
    """Archives of WAL get a new name, by the built-in way and by the plugin, and once more after another restore."""
    spec = {
        "backup": {"barmanObjectStore": {"destinationPath": "s3://x", "serverName": "old"}, "retentionPolicy": "7d"},
        "plugins": [
            {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True, "parameters": {"barmanObjectName": "o"}},
            {"name": "other"},
        ],
    }
    first = remake(cluster(spec), [], {}, ID).cluster
    assert first["spec"]["backup"]["barmanObjectStore"]["serverName"] == f"old-drkit-{ID}"
    assert first["spec"]["backup"]["retentionPolicy"] == "7d"
    assert first["spec"]["plugins"][0]["parameters"] == {"barmanObjectName": "o", "serverName": f"main-db-drkit-{ID}"}
    assert first["spec"]["plugins"][1] == {"name": "other"}
    again = remake(first, [], {}, "later").cluster
    assert again["spec"]["backup"]["barmanObjectStore"]["serverName"] == "old-drkit-later"


def test_nothing_keeps_its_instances_from_running() -> None:
    """Hibernation, fences and a switched-off operator would let the restore wait for ever; their end is said."""
    annotations = {"cnpg.io/hibernation": "on", "cnpg.io/fencedInstances": '["*"]', "mine": "kept"}
    made = remake(cluster(annotations=annotations, finalizers=["x"]), [], {}, ID)
    assert made.cluster["metadata"]["annotations"] == {"mine": "kept", RESTORE: ID}
    assert "finalizers" not in made.cluster["metadata"]
    assert len(made.warnings) == 2


_names = st.text("abc-", min_size=1, max_size=6)
_json = st.recursive(st.none() | st.booleans() | st.integers(0, 9) | _names, lambda inner: st.lists(inner, max_size=2))
_specs = st.fixed_dictionaries(
    {"storage": st.fixed_dictionaries({"size": _names})},
    optional={
        "instances": st.integers(1, 3),
        "bootstrap": st.dictionaries(
            st.sampled_from(["initdb", "recovery", "pg_basebackup", "odd"]),
            st.none() | st.dictionaries(st.sampled_from(["database", "owner", "secret", "import", "encoding"]), _json),
        ),
        "externalClusters": _json,
        "replica": _json,
        "backup": _json | st.fixed_dictionaries({"barmanObjectStore": st.dictionaries(_names, _json)}),
        "plugins": _json | st.lists(st.fixed_dictionaries({"isWALArchiver": st.booleans(), "parameters": _json})),
        "affinity": _json,
        "postgresql": _json,
    },
)
_metadata = st.dictionaries(st.sampled_from(["annotations", "labels", "finalizers", "ownerReferences"]), _json)


@given(_specs, _metadata)
def test_whatever_it_was_it_can_be_made(spec: Object, metadata: Object) -> None:
    """Nothing of the old one's life is left, it begins empty, all else is as it was, and once more it is the same."""
    before = cluster(spec, **metadata)
    untouched = copy.deepcopy(before)
    made = remake(before, [], {}, ID)
    assert before == untouched
    assert made.cluster.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert (
        not {"uid", "resourceVersion", "generation", "managedFields", "ownerReferences"}
        & made.cluster["metadata"].keys()
    )
    assert initdb(made).keys() >= {"database", "owner", "secret"}
    for key in ("storage", "instances", "affinity", "postgresql"):
        assert made.cluster["spec"].get(key) == before["spec"].get(key)
    assert not {"externalClusters", "replica"} & made.cluster["spec"].keys()
    again = remake(made.cluster, [], {}, ID)
    assert again.cluster == made.cluster
    assert noted(note(CLUSTER, made, ID), ID) == made
    assert noted(note(CLUSTER, made, ID), "another") is None
    json.dumps(made.cluster)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ghcr.io/cloudnative-pg/postgresql:17.2-1", 17),
        ("lab/postgresql:17.11", 17),
        ("registry:5000/postgresql:16@sha256:99", 16),
        ("registry:5000/postgresql", None),
        ("postgresql:latest", None),
        (None, None),
    ],
)
def test_the_version_that_it_asks_for(image: str | None, expected: int | None) -> None:
    """The image's tag begins with the major version; a registry's port is none."""
    assert remade.major(cluster({"imageName": image})) == expected
    assert remade.major(cluster({"imageName": image, "imageCatalogRef": {"major": 15}})) == 15


@pytest.mark.parametrize(
    ("size", "expected"),
    [("10Gi", 10 * 1024**3), ("1G", 10**9), ("500M", 500_000_000), ("1.5Ki", 1536), ("7", 7), ("much", None)],
)
def test_the_room_that_it_asks_for(size: str, expected: int | None) -> None:
    """Sizes are read as Kubernetes writes them."""
    assert volume_bytes(cluster({"storage": {"size": size}})) == expected


def test_what_cannot_work_is_known_before() -> None:
    """A dump from a newer PostgreSQL, and databases that were larger than the volume will be, are named."""
    details = {"versions": {"postgresql": "18.1"}, "disk_bytes": 20 * 1024**3}
    said = problems(cluster(), {"shop": details, "small": {"versions": {"postgresql": "17.2"}}})
    assert said == [
        "it is PostgreSQL 17, the dump of shop is from 18",
        f"its volumes have {10 * 1024**3} bytes, its databases took {20 * 1024**3}",
    ]
    assert problems(cluster(), {"small": {"versions": {"postgresql": "17.2"}}}) == []


def there() -> Belongings:
    """Everything of the cluster, and nothing of the others beside it."""
    other = {**OWNER, "name": "main-db-2"}
    label = {"cnpg.io/cluster": "main-db"}
    spec = {
        "superuserSecret": {"name": "root"},
        "certificates": {"serverCASecret": "authority"},
        "backup": {"barmanObjectStore": {"s3Credentials": {"accessKeyId": {"name": "keys", "key": "id"}}}},
        "managed": {"roles": [{"name": "reader", "passwordSecret": {"name": "reader-login"}}]},
    }
    named = ["main-db-app", "root", "authority", "keys", "reader-login"]
    secrets = [secret(each, OWNER) for each in named]
    secrets += [secret("odd", OWNER, {"kind": "Other", "name": "x"}), secret("main-db-2-app", other), secret("plain")]
    pods = [thing("main-db-1", labels={**label, "cnpg.io/podRole": "instance"}), thing("main-db-2-1")]
    pods += [thing("pooler-x", labels={**label, "cnpg.io/podRole": "pooler"}), thing("job", ownerReferences=[OWNER])]
    claims = [thing("main-db-1", labels=label, finalizers=["kubernetes.io/pvc-protection"]), thing("main-db-2-1")]
    volumes = [
        thing(f"pvc-{claim}", spec={"claimRef": {"namespace": namespace, "name": claim}})
        for namespace, claim in (("postgres", "main-db-1"), ("postgres", "main-db-2-1"), ("other", "main-db-1"))
    ]
    for each in volumes:
        del each["metadata"]["namespace"]
    return belongings(CLUSTER, cluster(spec), secrets, pods, claims, volumes)


def names(objects: Any) -> list[str]:
    """What they are called."""
    return [each["metadata"]["name"] for each in objects]


def test_what_belongs_to_a_cluster() -> None:
    """By owner, by label and by name; not its poolers' pods, and nothing of a cluster whose name begins alike."""
    found = there()
    assert names(found.secrets) == ["main-db-app", "root", "authority", "keys", "reader-login", "odd"]
    assert names(found.pods) == ["main-db-1", "job"]
    assert names(found.claims) == ["main-db-1"]
    assert names(found.volumes) == ["pvc-main-db-1"]
    assert removal.claims(CLUSTER, found.claims) == {("postgres", "main-db-1")}


def test_nothing_is_deleted_before_its_secrets_are_safe() -> None:
    """Secrets are disowned and the new Cluster is noted before the old one goes; then pods, volumes, their claims."""
    made = remake(cluster(), [], {}, ID)
    todo = operations(CLUSTER, cluster(), there(), made, ID)
    assert [(each.verb, each.path.rsplit("/", 2)[1]) for each in todo] == [
        *[("patch", "secrets")] * 6,
        ("apply", "configmaps"),
        ("delete", "clusters"),
        *[("delete", "pods")] * 2,
        ("delete", "persistentvolumes"),
        ("delete", "persistentvolumeclaims"),
        ("patch", "persistentvolumeclaims"),
    ]
    assert [each.content for each in todo[4:6]] == [
        {"metadata": {"ownerReferences": None}},
        {"metadata": {"ownerReferences": [{"kind": "Other", "name": "x"}]}},
    ]
    assert all(each.uid for each in todo if each.verb == "delete")


def test_a_secret_that_nobody_owns_is_left_alone() -> None:
    """What was disowned by an earlier attempt, and what was made by hand, is not written to."""
    free = Belongings([secret("main-db-app")], [], [], [])
    todo = operations(CLUSTER, None, free, remake(cluster(), [], {}, ID), ID)
    assert [each.verb for each in todo] == ["apply"]
