"""The real CloudNativePG operator, where it is given: its release manifest, and its image in the Docker engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from drkit.errors import PreflightFailed

MANIFEST_VARIABLE = "DRKIT_LAB_CNPG_MANIFEST"
IMAGE_VARIABLE = "DRKIT_LAB_CNPG_IMAGE"


@dataclass(frozen=True)
class RealOperator:
    """Its manifest's text, and the name of its image, which the manifest names too."""

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
    if image not in text:
        raise PreflightFailed(f"the manifest {manifest} does not name the image {image}", "they must be of one release")
    return RealOperator(text.replace("imagePullPolicy: Always", "imagePullPolicy: Never"), image)
