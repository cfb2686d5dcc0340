"""Databases of CloudNativePG as they are found by who has rights in some namespaces alone."""

from __future__ import annotations

from typing import Any, cast

import pytest

from drkit.config.model import Config
from drkit.errors import KubeRefused
from drkit.sources import cnpg


class Refusing:
    """An API that lets nobody list the clusters of all namespaces, and has none in any."""

    def pages(self, path: str, **_: Any) -> Any:
        """Refuse."""
        raise KubeRefused(403, f"{path}: forbidden")

    def get(self, path: str) -> Any:
        """Say that a single one is not there."""
        raise KubeRefused(404, f"{path}: not found")


def _names(databases: list[dict[str, str]]) -> list[tuple[str, str]]:
    config = Config.model_validate(
        {"vaults": {"databases": {"url": "vault", "passphrase": {"env": "P"}}}, "databases": databases}
    )
    found = [each for each in cnpg.sources(config, cast("Any", Refusing())) if isinstance(each, cnpg.FailedSource)]
    return [(each.name, each.error.message) for each in found]


def test_what_the_configuration_names_is_asked_for_by_its_name() -> None:
    """Who may not list the clusters of all namespaces asks for the named ones, each in its namespace."""
    [(name, said)] = _names([{"cnpg": "postgres/main-db"}])
    assert name == "database/postgres/main-db"
    assert "there is no CloudNativePG cluster postgres/main-db" in said


@pytest.mark.parametrize("databases", [[], [{"name": "billing", "dsn": {"env": "DSN"}}]])
def test_without_a_name_the_refusal_is_said(databases: list[dict[str, Any]]) -> None:
    """Where no cluster is named, not being allowed to look is a failure, not an empty list."""
    [(name, said)] = _names(databases)
    assert name == "database"
    assert "forbidden" in said
