"""Ports that the system allots, kept for the next start as long as they are still free."""

from __future__ import annotations

import socket

from .store import Store


def allot(store: Store, name: str, address: str = "127.0.0.1") -> int:
    """A free TCP port on `address` for the part called `name`: the one it had before, if nobody else listens there."""
    kept = store.get("ports", name)
    if kept and _is_free(address, kept["port"]):
        return int(kept["port"])
    taken = {value["port"] for _, value in store.items("ports")}
    while True:
        with socket.socket() as probe:
            probe.bind((address, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            store.put("ports", name, {"port": port})
            return port


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
