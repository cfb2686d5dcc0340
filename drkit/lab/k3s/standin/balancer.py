"""An agent's way to the API servers: a TCP proxy on loopback that goes to whichever of them answers, as k3s's does."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from .components import BALANCER_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONNECT_SECONDS = 3.0
_CHUNK = 65536


class Balancer:
    """Listens on loopback and forwards each connection to the first server that accepts it."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = list(servers)
        self._last_good = ""

    def start(self) -> None:
        """Serve, in a thread of its own."""
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True).start()
        ready.wait(10.0)

    @property
    def servers(self) -> list[str]:
        """The servers as ``address:port``."""
        return list(self._servers)

    def use(self, servers: Sequence[str]) -> bool:
        """Forward to these from now on; whether that is a change. An empty list is ignored."""
        if not servers or sorted(servers) == sorted(self._servers):
            return False
        self._servers = list(servers)
        return True

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._forward, "127.0.0.1", BALANCER_PORT)
        ready.set()
        async with server:
            await server.serve_forever()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for server in sorted(self._servers, key=lambda each: each != self._last_good):
            host, _, port = server.rpartition(":")
            try:
                onward = await asyncio.wait_for(asyncio.open_connection(host, int(port)), _CONNECT_SECONDS)
            except (OSError, TimeoutError):
                continue
            self._last_good = server
            await _both_ways((reader, writer), onward)
            return
        writer.close()


_Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _both_ways(near: _Pair, far: _Pair) -> None:
    ways = [asyncio.create_task(_copy(near[0], far[1])), asyncio.create_task(_copy(far[0], near[1]))]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    for writer in (near[1], far[1]):
        with suppress(OSError, RuntimeError):
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
