"""Where a backend listens."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import typing as t

NETWORK = ipaddress.ip_network("127.64.0.0/10")  # loopback: an address of its own for each server, so that each has the port it has on Azure


class Address(t.NamedTuple):
    """An address on this machine."""

    ip: str
    port: int


def is_free(address: Address) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def allot(port: int, taken: t.Container[str], preferred: str | None = None) -> Address:
    """A loopback address where `port` is free: the preferred one if it is, else one at random that is not among `taken`."""
    if preferred and is_free(Address(preferred, port)):
        return Address(preferred, port)
    while True:
        ip = str(NETWORK[secrets.randbelow(NETWORK.num_addresses - 2) + 1])
        if ip not in taken and is_free(Address(ip, port)):
            return Address(ip, port)
