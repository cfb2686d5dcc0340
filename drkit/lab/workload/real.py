"""The real CloudNativePG operator, where it is given: its release manifest, and its image in the Docker engine."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Collection

MANIFEST_VARIABLE = "DRKIT_LAB_CNPG_MANIFEST"
IMAGE_VARIABLE = "DRKIT_LAB_CNPG_IMAGE"

STAND_IN = "cnpg-stand-in-controller-manager"
"""The Deployment of the stand-in; any other one in the operator's namespace is a real operator's."""

_SEPARATOR = re.compile(r"^---\s*$", re.MULTILINE)
_DEPLOYMENT = re.compile(r"^kind: Deployment\s*$", re.MULTILINE)


@dataclass(frozen=True)
class RealOperator:
    """Its manifest's text, ready to be applied, and the name of its image."""

    manifest: str
    image: str


def given() -> RealOperator | None:
    """The operator that the environment names.

    Raises:
        PreflightFailed: it names half of it, or the manifest does not fit the image.
    """
    manifest, image = os.environ.get(MANIFEST_VARIABLE), os.environ.get(IMAGE_VARIABLE)
    if not manifest and not image:
        return None
    if not manifest or not image:
        raise PreflightFailed(
            f"of {MANIFEST_VARIABLE} and {IMAGE_VARIABLE} one alone is set", "set both: the manifest's path, the image"
        )
    try:
        text = Path(manifest).read_text(encoding="utf-8")
    except OSError as error:
        raise PreflightFailed(f"{MANIFEST_VARIABLE}: {error}") from None
    return RealOperator(as_on_the_reference_cluster(text, image), image)


def as_on_the_reference_cluster(manifest: str, image: str) -> str:
    """The release manifest with the reference cluster's patches of its Deployment. Pure.

    Two replicas on two nodes, away from a lost node after ten seconds, as the stand-in's are; and its image from the
    node, where the lab has put it. All else stays as it is: a parser of YAML would take half a minute for its megabyte.

    Raises:
        PreflightFailed: the manifest has not one Deployment, or that does not run this image.
    """
    documents = _SEPARATOR.split(manifest)
    places = [number for number, document in enumerate(documents) if _DEPLOYMENT.search(document)]
    if len(places) != 1:
        raise PreflightFailed(
            f"the manifest has {len(places)} Deployments, and a release of CloudNativePG's operator has one",
            "give cnpg-<version>.yaml of the release, as it is",
        )
    deployment = YAML(typ="safe", pure=True).load(documents[places[0]])
    pods = deployment["spec"]["template"]
    containers = pods["spec"]["containers"]
    if [each["image"] for each in containers] != [image]:
        named = ", ".join(each["image"] for each in containers)
        raise PreflightFailed(f"the manifest's operator is {named}, not {image}", "they must be of one release")
    containers[0]["imagePullPolicy"] = "Never"
    deployment["spec"]["replicas"] = 2
    pods["spec"]["tolerations"] = [
        {"key": f"node.kubernetes.io/{lost}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}
        for lost in ("not-ready", "unreachable")
    ]
    pods["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": deployment["spec"]["selector"],
        }
    ]
    documents[places[0]] = json.dumps(deployment)
    return "\n---\n".join(documents)


def check_the_same(deployments: Collection[str], wanted: RealOperator | None) -> None:
    """See that a cluster does not get a second operator, which would fight with the first. Pure.

    Args:
        deployments: the names of those in the operator's namespace.
        wanted: the operator that is to be deployed; None for the stand-in.

    Raises:
        PreflightFailed: the cluster has the other one.
    """
    if deployments and (STAND_IN in deployments) is not (wanted is None):
        has, asked = ("the stand-in", "the real operator") if wanted else ("the real operator", "the stand-in")
        raise PreflightFailed(
            f"the lab has {has} for CloudNativePG, and {asked} is asked for",
            f"set {MANIFEST_VARIABLE} and {IMAGE_VARIABLE} as for the first time, or make another lab",
        )
