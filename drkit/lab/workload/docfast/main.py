"""The lab's sample application: keeps documents in PostgreSQL, through PgBouncer.

``GET /health`` asks the database; ``POST /documents`` stores its body under the key in the header ``Key`` and answers
201 when it is committed; ``GET /documents/<key>`` reads it back.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = 8080
TITLE = os.environ["TITLE"]
_STATEMENT_MILLISECONDS = 4000
_LARGEST = 1 << 20
# A node that is lost answers nothing at all: nobody waits longer for it than this.
DESTINATION = (
    f"{os.environ['DATABASE_URI']}?connect_timeout=3&tcp_user_timeout=5000&keepalives_idle=3&keepalives_interval=2"
)


def ask(statement: str, values: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The rows that a statement answers with, in a transaction and a connection of its own."""
    # Nothing is prepared: behind PgBouncer the next transaction may meet another server.
    with psycopg.connect(DESTINATION, prepare_threshold=None) as connection:
        connection.execute(f"set local statement_timeout = {_STATEMENT_MILLISECONDS}")
        return connection.execute(statement, values).fetchall()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server_version = "docfast-of-drkits-lab"
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        """Health, the front page, or a document."""
        if self.path == "/health":
            self._answer(lambda: ask("select 'ok'")[0][0])
        elif self.path.startswith("/documents/"):
            key = unquote(self.path.removeprefix("/documents/"))
            self._answer(lambda: ask("select body from web_document where key = %s", (key,))[0][0])
        elif self.path == "/":
            self._send(200, f"{TITLE}\n")
        else:
            self._send(404, "there is no such page\n")

    def do_POST(self) -> None:
        """Store a document."""
        size, key = int(self.headers.get("Content-Length", "0")), self.headers.get("Key", "")
        if self.path != "/documents" or not key or size > _LARGEST:
            self.close_connection = True
            self._send(400, "POST /documents, with a header Key and up to a megabyte\n")
            return
        body = self.rfile.read(size).decode(errors="replace")
        statement = "insert into web_document (key, body) values (%s, %s) returning key"
        self._answer(lambda: ask(statement, (key, body))[0][0], 201)

    def _answer(self, work: Callable[[], str], status: int = 200) -> None:
        try:
            text = work()
        except IndexError:
            self._send(404, "there is no such document\n")
        except psycopg.Error as error:
            self._send(503, json.dumps({"database": str(error).strip()}) + "\n")
        else:
            self._send(status, f"{text}\n")

    def _send(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Served-By", os.environ.get("HOSTNAME", ""))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - http.server's own name
        """Say only what failed: health is asked for every few seconds."""
        if len(values) > 1 and str(values[1]) >= "400":
            print(format % values, file=sys.stderr)  # noqa: T201 - a pod's log is its standard error


class Server(ThreadingHTTPServer):
    """Serves until it is ended."""

    request_queue_size = 128


if __name__ == "__main__":
    Server(("", PORT), Handler).serve_forever()
