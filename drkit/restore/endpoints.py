"""Health endpoints, asked at an address of one's choice: before a name leads there."""

from __future__ import annotations

import http.client
import socket
import ssl
from urllib.parse import urlsplit

_SECONDS = 10.0
_WELL = range(200, 400)


def problem(url: str, address: str) -> str:
    """What is wrong with the answer of ``url`` at ``address``; empty where it is 2xx or 3xx.

    TLS is verified for the URL's host name.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.sock = socket.create_connection((address, port), timeout=_SECONDS)
        if secure:
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", path, headers={"Host": parts.netloc.rpartition("@")[2], "Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{url} at {address}: {error!r}"
    finally:
        connection.close()
    return "" if status in _WELL else f"{url} at {address} answers {status}"
