"""The JSON schema of a scenario's file, for editors: made from the models, and kept beside the scenarios that ship."""

from __future__ import annotations

import json
from typing import Any

from drkit.drill.scenario.model import Scenario

FILE_NAME = "scenario.schema.json"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12)."""
    return {"$schema": _DRAFT, **Scenario.model_json_schema()}


def text() -> str:
    """As it stands in the file, and is printed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
