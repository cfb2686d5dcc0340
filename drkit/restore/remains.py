"""What an earlier attempt of the same restore left at work in a server.

A way that is cut without a word ends at its other end much later than here: a program in a pod runs on until the API
has missed who called it, and a server waits for the client of a connection string for two hours, where nothing else is
set (tcp_keepalives_idle). So a restore's sessions are called by its id, and it ends those that its own attempts left:
of one restore there is never more than one attempt at a time (``drkit.restore.engine``). Those of others it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.postgres.connection import APPLICATION
from drkit.postgres.quoting import literal

if TYPE_CHECKING:
    from drkit.postgres.destination import Server
    from drkit.postgres.session import Session

_SESSIONS = "from pg_catalog.pg_stat_activity where pid <> pg_catalog.pg_backend_pid() and datname = "
_SHOWN = 3


def application(restore: str) -> str:
    """What a restore's sessions are called.

    Args:
        restore: its id, of less than 50 characters: PostgreSQL keeps 63 of the whole.
    """
    return f"{APPLICATION} {restore}"


def end(session: Session, server: Server) -> int:
    """Tell those that are left of this restore in a database to end, which takes them a moment.

    Args:
        session: with the server.
        server: it, and the database; nothing else of this restore is at work there.

    Returns:
        How many there were; none where the sessions have no restore's name.
    """
    if server.application == APPLICATION:
        return 0
    theirs = f"{_SESSIONS}{literal(server.database)} and application_name = {literal(server.application)}"
    return len(session.execute(f"select pg_catalog.pg_terminate_backend(pid) {theirs}").fetchall())


def others(session: Session, server: Server) -> str:
    """Who is connected to a database, as far as the server lets us see it, for messages."""
    asked = f"select pid, coalesce(application_name, ''), count(*) over () {_SESSIONS}{literal(server.database)}"
    rows = session.execute(f"{asked} order by pid limit {_SHOWN}").fetchall()
    shown = [f"{pid} ({name})" if name else str(pid) for pid, name, _ in rows]
    more = rows[0][2] - len(rows) if rows else 0
    return ", ".join(shown) + (f" and {more} more" if more else "")


def hint(session: Session, server: Server) -> str:
    """What to do where others hold a database that is being restored."""
    return (
        f"wait for that one to end; its sessions in {server.database} are {others(session, server) or 'out of sight'}. "
        "Of one that was cut short they end by themselves, at once by: select pg_terminate_backend(…). "
        "Then: drkit restore … --resume"
    )
