"""What all pods of a cluster that run here have in common: the API server, the processes, the way to the emulated clouds."""

from __future__ import annotations

import pathlib
import re
import typing as t

from .. import address
from ..address import Address
from ..control_plane import API_PORT, ControlPlane
from ..kubernetes_api import Api, Object
from . import commands

if t.TYPE_CHECKING:
    from ...emulator import Emulator
    from ...processes import Processes

LISTEN = ("MF_METADATA_HOST", "MF_UI_METADATA_HOST")  # where the image's programs read what address to listen on
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
DATABASE = re.compile(r"[a-z0-9][a-z0-9.-]*\.postgres\.database\.azure\.com", re.IGNORECASE)


class Machine:
    """Given to every pod of one cluster."""

    def __init__(self, emulator: Emulator, api: Api, control_plane: ControlPlane) -> None:
        self._emulator, self.api, self._control_plane = emulator, api, control_plane
        self._addresses: set[str] = set()

    @property
    def processes(self) -> Processes:
        return self._emulator.processes

    @property
    def pods(self) -> pathlib.Path:
        """Where each pod has its folder, and its description for our kubelet."""
        return self._control_plane.pods

    def duration(self, name: str, default: float) -> float:
        """A duration that the user may have set, in seconds."""
        return self._emulator.settings.durations.get(name, default)

    def is_missing(self, image: str) -> bool:
        """Whether no registry has this image."""
        return any(part in image for part in missing_images(self._emulator))

    def allot_ip(self, pod: Object) -> str:
        """A loopback address of the pod's own: all ports that its containers name are free there."""
        containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
        ports = {port["containerPort"] for container in containers for port in container.get("ports", [])} or {8080}
        while True:
            ip = address.allot(min(ports), self._addresses).ip
            self._addresses.add(ip)
            if all(address.is_free(Address(ip, port)) for port in ports):
                return ip

    def free_ip(self, ip: str) -> None:
        self._addresses.discard(ip)

    def environment(self, ip: str) -> dict[str, str]:
        """How the pod at `ip` reaches the API server and the emulated hosts; the pod's own variables of the same name win."""
        bundle = self._emulator.certificates.bundle_path
        proxies = dict.fromkeys(PROXIES, self._emulator.proxy_url) if self._emulator.proxy_url else {}
        return {
            **proxies,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), f"127.0.0.1,localhost,{ip},{self._control_plane.ip}"),
            **dict.fromkeys(BUNDLES, str(bundle)),
            "NODE_EXTRA_CA_CERTS": str(self._emulator.certificates.ca_path),
            "KUBERNETES_SERVICE_HOST": self._control_plane.ip,
            "KUBERNETES_SERVICE_PORT": str(API_PORT),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(API_PORT),
        }

    def forced_environment(self, container: Object, ip: str, texts: t.Iterable[str]) -> dict[str, str]:
        """What must hold because pods share this machine's network: the own address, and that of the database which `texts` name."""
        forced = {"HOST": ip} if commands.is_ui(container["image"]) else dict.fromkeys(LISTEN, ip)
        for name in {found[0].lower() for text in texts for found in DATABASE.finditer(text)}:
            if (server := self._emulator.postgresql.address_of(name)) is not None:
                forced["PGHOSTADDR"] = server.ip
        return forced


def missing_images(emulator: Emulator) -> list[str]:
    """Parts of the names of images that no registry has, as the user has set them: the setting `missing_images`, separated by commas."""
    return [part.strip() for part in str(emulator.settings.get("missing_images", "")).split(",") if part.strip()]
