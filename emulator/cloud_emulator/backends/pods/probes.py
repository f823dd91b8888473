"""Probes: one try of each kind, and what their results over time mean."""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
import ssl
import typing as t

from ..kubernetes_api import Object

Execute = t.Callable[[list[str], float], t.Awaitable[tuple[int, str]]]  # (command, timeout) -> (exit status, output)


async def probe(spec: Object, container: Object, ip: str, execute: Execute) -> tuple[bool, str]:
    """Try once, on the pod's own address. Returns whether it succeeded, and what an event says where it did not."""
    timeout = float(spec.get("timeoutSeconds", 1))
    if "httpGet" in spec:
        action = spec["httpGet"]
        return await asyncio.to_thread(_http, action, ip, port_number(container, action["port"]), timeout)
    if "exec" in spec:
        status, output = await execute(spec["exec"]["command"], timeout)
        return status == 0, output
    port = spec["grpc"]["port"] if "grpc" in spec else spec["tcpSocket"]["port"]
    return await _tcp(ip, port_number(container, port), timeout)


def port_number(container: Object, port: int | str) -> int:
    """A port's number, by its name too. Raises ValueError for a name that the container does not have."""
    if isinstance(port, int):
        return port
    for known in container.get("ports", []):
        if known.get("name") == port:
            return int(known["containerPort"])
    raise ValueError(f"couldn't find port: {port}")


def _http(action: Object, ip: str, port: int, timeout: float) -> tuple[bool, str]:
    path = action.get("path") or "/"
    headers = {"User-Agent": "kube-probe/1.34", "Accept": "*/*", **{header["name"]: header["value"] for header in action.get("httpHeaders", [])}}
    connection: http.client.HTTPConnection
    if action.get("scheme", "HTTP").upper() == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as a kubelet does it
        connection = http.client.HTTPSConnection(ip, port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(ip, port, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return False, f'Get "{action.get("scheme", "HTTP").lower()}://{ip}:{port}{path}": {error}'
    finally:
        connection.close()
    return 200 <= status < 400, f"HTTP probe failed with statuscode: {status}"


async def _tcp(ip: str, port: int, timeout: float) -> tuple[bool, str]:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port), timeout)
    except (OSError, TimeoutError) as error:
        return False, f"dial tcp {ip}:{port}: {error or 'i/o timeout'}"
    writer.close()
    return True, ""


@dataclasses.dataclass
class Judge:
    """What a probe's results mean: `result` is None until a threshold is reached, then True or False."""

    failure_threshold: int
    success_threshold: int
    result: bool | None = None
    _last: bool | None = None
    _row: int = 0

    @classmethod
    def of(cls, spec: Object) -> Judge:
        return cls(int(spec.get("failureThreshold", 3)), int(spec.get("successThreshold", 1)))

    def add(self, success: bool) -> bool | None:
        """Take one more result into account; returns what holds now."""
        self._row = self._row + 1 if success == self._last else 1
        self._last = success
        if self._row >= (self.success_threshold if success else self.failure_threshold):
            self.result = success
        return self.result
