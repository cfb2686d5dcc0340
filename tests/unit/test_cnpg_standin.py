"""The stand-in for CloudNativePG: what it makes of a cluster, and what it does next."""

from __future__ import annotations

from typing import Any

from drkit.lab.cnpg.standin import instance, objects, observed, patroni, pooler
from drkit.lab.cnpg.standin.observed import Observed
from drkit.lab.cnpg.standin.spec import ClusterSpec, parse

OPERATOR = "lab/cnpg-stand-in:1"
IMAGE = "lab/postgresql:17-x"


def cluster(**more: Any) -> ClusterSpec:
    """A cluster of two instances, or with what is said."""
    spec = {"instances": 2, "imageName": IMAGE, "storage": {"size": "1Gi"}, **more}
    return parse({"metadata": {"name": "main-db", "namespace": "postgres", "uid": "u1"}, "spec": spec})


def pod(role: str | None, *, ready: bool = True, image: str = IMAGE, leaving: bool = False) -> dict[str, Any]:
    """A pod as the API server lists it."""
    labels = {} if role is None else {"cnpg.io/instanceRole": role}
    return {
        "metadata": {"labels": labels, **({"deletionTimestamp": "now"} if leaving else {})},
        "spec": {"initContainers": [{"image": OPERATOR}], "containers": [{"image": image}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


CLAIM: dict[str, Any] = {"metadata": {}}
BOTH = {"main-db-1": CLAIM, "main-db-2": CLAIM}


def next_of(seen: Observed, **more: Any) -> observed.Actions:
    """What is to be done next."""
    return observed.actions(cluster(**more), seen, OPERATOR)


def test_a_new_cluster_begins_with_one_instance() -> None:
    """The first instance is alone until it is the primary: nobody else may set the cluster up."""
    assert next_of(Observed()).new_pods == (1,)
    waiting = Observed({"main-db-1": pod(None)}, {"main-db-1": CLAIM}, None, 1)
    assert next_of(waiting) == observed.Actions()


def test_a_cluster_that_lost_its_claims_gets_no_empty_instance() -> None:
    """Where there were instances and there is no volume any more, nothing is made, and the phase says why."""
    lost = Observed({}, {}, "main-db-1", 2)
    assert next_of(lost) == observed.Actions()
    assert observed.status(cluster(), lost, {"currentPrimary": "main-db-1"})["phase"] == observed.UNRECOVERABLE


def test_a_new_cluster_is_encoded_as_it_is_asked_for() -> None:
    """``bootstrap.initdb`` names encoding and locale; CloudNativePG's own are UTF8 and C."""
    asked = {"initdb": {"encoding": "LATIN1", "localeCollate": "POSIX"}}
    for spec, expected in ((cluster(), "UTF8 C C C"), (cluster(bootstrap=asked), "LATIN1 C POSIX C")):
        options = patroni.configuration(spec)["bootstrap"]["initdb"]
        assert " ".join(value for each in options for value in each.values()) == expected


def test_a_replica_joins_when_the_primary_is_ready() -> None:
    """The next instance is made once the lease and the label agree on a primary that serves."""
    seen = Observed({"main-db-1": pod("primary")}, {"main-db-1": CLAIM}, "main-db-1", 1)
    assert next_of(seen).new_claims == next_of(seen).new_pods == (2,)


def test_a_pod_that_is_gone_is_made_again_on_its_claim() -> None:
    """An instance is its volume: no new one is made while the claim of the old one is there."""
    seen = Observed({"main-db-2": pod("primary")}, BOTH, "main-db-2", 2)
    assert next_of(seen) == observed.Actions(new_pods=(1,))


def test_a_primarys_pod_is_made_again_when_it_has_been_succeeded() -> None:
    """While its lease runs under its name the pod waits, for a ready replica alone; then it comes back as a replica."""
    running = Observed({"main-db-2": pod("replica")}, BOTH, "main-db-1", 2)
    assert next_of(running) == observed.Actions()
    assert next_of(Observed({}, BOTH, "main-db-1", 2)).new_pods == (1, 2)
    succeeded = Observed({"main-db-2": pod("primary")}, BOTH, "main-db-2", 2)
    assert next_of(succeeded) == observed.Actions(new_pods=(1,))


def test_a_lost_nodes_pod_is_waited_for() -> None:
    """A pod that cannot end, because its node is lost, is neither replaced nor doubled; its label is taken back."""
    seen = Observed({"main-db-1": pod("primary", leaving=True), "main-db-2": pod("primary")}, BOTH, "main-db-2", 2)
    assert next_of(seen) == observed.Actions(relabelled=("main-db-1",))


def test_an_instance_without_a_claim_gets_the_next_number() -> None:
    """Numbers are not used again: the data of the old instance may still turn up."""
    seen = Observed({"main-db-2": pod("primary")}, {"main-db-2": CLAIM}, "main-db-2", 2)
    assert next_of(seen).new_claims == (3,)


def test_the_primary_is_the_last_one_to_be_removed_or_replaced() -> None:
    """Fewer instances, or new images, cost a replica first."""
    seen = Observed({"main-db-1": pod("replica"), "main-db-2": pod("primary")}, BOTH, "main-db-2", 2)
    assert next_of(seen, instances=1).removed == ("main-db-1",)
    assert next_of(seen, imageName="lab/postgresql:17-y").replaced == ("main-db-1",)


def test_the_status_remembers_the_primary_while_there_is_none() -> None:
    """During a failover ``currentPrimary`` is the old one, and the phase says so."""
    seen = Observed({"main-db-1": pod("primary", ready=False), "main-db-2": pod("replica")}, BOTH, None, 2)
    said = observed.status(cluster(), seen, {"currentPrimary": "main-db-1"})
    assert (said["currentPrimary"], said["phase"], said["readyInstances"]) == ("main-db-1", "Failing over", 1)


def test_a_healthy_cluster_is_called_so_in_cloudnativepgs_words() -> None:
    """All instances ready, one of them the primary."""
    seen = Observed({"main-db-1": pod("primary"), "main-db-2": pod("replica")}, BOTH, "main-db-1", 2)
    assert observed.status(cluster(), seen, {})["phase"] == "Cluster in healthy state"


def test_synchronous_replication_is_patronis() -> None:
    """``dataDurability: preferred`` lets the primary go on alone; ``required`` does not."""
    for durability, strict in (("preferred", False), ("required", True)):
        spec = cluster(postgresql={"synchronous": {"method": "any", "number": 1, "dataDurability": durability}})
        dcs = patroni.configuration(spec)["bootstrap"]["dcs"]
        assert (dcs["synchronous_mode"], dcs["synchronous_mode_strict"]) == (True, strict)
    assert patroni.configuration(cluster())["bootstrap"]["dcs"]["synchronous_mode"] is False


def test_pods_are_placed_as_the_affinity_says() -> None:
    """Tolerations are handed on, and instances are kept apart unless that is switched off."""
    tolerations = [{"key": "a", "tolerationSeconds": 10}]
    asked = {"tolerations": tolerations, "podAntiAffinityType": "required"}
    made = objects.pod(cluster(affinity=asked), 1, OPERATOR)["spec"]
    assert made["tolerations"] == tolerations
    assert "requiredDuringSchedulingIgnoredDuringExecution" in made["affinity"]["podAntiAffinity"]
    assert "affinity" not in objects.pod(cluster(affinity={"enablePodAntiAffinity": False}), 1, OPERATOR)["spec"]


def test_the_users_pooler_template_is_kept() -> None:
    """PgBouncer's container is added to the template, with the user's image and everything else of it."""
    asked = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {
            "cluster": {"name": "main-db"},
            "pgbouncer": {"poolMode": "transaction", "parameters": {"default_pool_size": "7"}},
            "template": {"spec": {"tolerations": [1], "containers": [{"name": "pgbouncer", "image": "mine"}]}},
        },
    }
    made = pooler.objects(asked, OPERATOR, "secret")
    template = made["/apis/apps/v1/namespaces/n/deployments/p"]["spec"]["template"]["spec"]
    assert template["tolerations"] == [1]
    assert [each["image"] for each in template["containers"]] == ["mine"]
    said = pooler.configuration(asked)
    assert "pool_mode = transaction" in said
    assert "default_pool_size = 7" in said
    assert "* = host=main-db-rw port=5432" in said


def test_a_password_is_compared_with_its_verifier() -> None:
    """A verifier that PostgreSQL made of the password matches it, and no other."""
    verifier = (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    # RFC 7677's own example: the password "pencil".
    assert instance.matches(verifier, "pencil")
    assert not instance.matches(verifier, "pen")
    assert not instance.matches("md5abc", "pencil")
