"""Globals scripts: taken apart safely, and nothing done to roles that exist."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drkit.postgres.roles import created_by, digest, for_missing, statements

SCRIPT = r"""
--
-- PostgreSQL database cluster dump; with a semicolon
--

\restrict abcDEF

SET default_transaction_read_only = off;
CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b--c''d';
CREATE ROLE "we""ird; role
name";
ALTER ROLE "we""ird; role
name" WITH NOSUPERUSER; -- a comment; here
ALTER ROLE app SET search_path TO E'a\'; DROP ROLE postgres; --', 'b\';
ALTER ROLE app IN DATABASE billing SET work_mem TO '1MB';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
GRANT app TO "we""ird; role
name" WITH ADMIN OPTION, INHERIT TRUE GRANTED BY postgres;
GRANT app TO postgres GRANTED BY postgres;
GRANT elsewhere TO app GRANTED BY postgres;

\unrestrict abcDEF
"""
WEIRD = 'we"ird; role\nname'

_ROLES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def test_a_script_is_taken_apart_at_its_real_ends() -> None:
    """Semicolons, dashes and newlines in quotes end no statement; comments and psql's commands are none."""
    found = list(statements(SCRIPT))
    assert len(found) == 12
    assert found[0] == "SET default_transaction_read_only = off"
    assert found[2].endswith("'SCRAM-SHA-256$4096:a;b--c''d'")
    assert found[4].startswith('ALTER ROLE "we""ird; role\nname" WITH')
    assert found[5] == r"ALTER ROLE app SET search_path TO E'a\'; DROP ROLE postgres; --', 'b\'"
    assert not any("restrict" in statement for statement in found)


def test_missing_roles_are_made_and_existing_ones_left_alone() -> None:
    """A role that the target has is neither made nor altered nor given a membership."""
    run = for_missing(SCRIPT, ["postgres"])
    assert created_by(run) == ["app", WEIRD]
    assert not any(statement.startswith(("CREATE ROLE postgres", "ALTER ROLE postgres")) for statement in run)
    assert not any("TO postgres" in statement for statement in run)
    assert for_missing(SCRIPT, ["postgres", "app", WEIRD]) == []


def test_memberships_lose_their_grantor() -> None:
    """The role that granted may be missing; a membership in a role that is nowhere is left out."""
    grants = [statement for statement in for_missing(SCRIPT, ["postgres"]) if statement.startswith("GRANT")]
    assert grants == ['GRANT app TO "we""ird; role\nname" WITH ADMIN OPTION, INHERIT TRUE']


def test_settings_for_one_database_are_left_out() -> None:
    """The database that they name may not exist yet."""
    assert not any("IN DATABASE" in statement for statement in for_missing(SCRIPT, ["postgres"]))


def test_only_the_roles_that_are_needed_are_made() -> None:
    """A restore of one database does not bring every role of the old server."""
    assert created_by(for_missing(SCRIPT, ["postgres"], only=["app"])) == ["app"]
    assert for_missing(SCRIPT, ["postgres"], only=[]) == []


def test_the_digest_does_not_depend_on_the_random_token() -> None:
    """Two dumps of the same roles have the same digest, of other roles another."""
    assert digest(SCRIPT.encode()) == digest(SCRIPT.replace("abcDEF", "123xyz").encode())
    assert digest(SCRIPT.encode()) != digest(SCRIPT.replace("SCRAM", "MARCS").encode())


@given(st.lists(_ROLES, min_size=1, max_size=6, unique=True), st.data())
def test_any_role_names_are_understood(roles: list[str], data: st.DataObject) -> None:
    """Whatever roles are called: exactly the missing ones are made, and none that exists is touched."""
    existing = data.draw(st.sets(st.sampled_from(roles)))
    lines = [f"CREATE ROLE {_quoted(role)};\nALTER ROLE {_quoted(role)} WITH LOGIN;" for role in roles]
    lines += [f"GRANT {_quoted(roles[0])} TO {_quoted(role)} GRANTED BY {_quoted(roles[-1])};" for role in roles[1:]]
    run = for_missing("\n".join(lines), existing)
    missing = [role for role in roles if role not in existing]
    assert created_by(run) == missing
    expected = [
        f"{verb} ROLE {_quoted(role)}{rest}"
        for role in missing
        for verb, rest in (("CREATE", ""), ("ALTER", " WITH LOGIN"))
    ]
    expected += [f"GRANT {_quoted(roles[0])} TO {_quoted(role)}" for role in missing if role != roles[0]]
    assert run == expected


@given(st.text())
def test_any_text_comes_to_an_end(text: str) -> None:
    """A script that is no script neither hangs nor fails."""
    for_missing(text, [])
