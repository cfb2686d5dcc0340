"""An address with a port, as text. Pure."""

from __future__ import annotations

import ipaddress


def split(place: str) -> tuple[str, int]:
    """Address and port of ``10.0.0.2:6443`` or ``[2001:db8::1]:6443``.

    Raises:
        ValueError: it is none.
    """
    host, _, port = place.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"no address with a port: {place!r}")
    return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))), int(port)
