"""A pod's volumes as folders of this machine: Secrets, ConfigMaps, tokens, the downward API, and empty ones."""

from __future__ import annotations

import base64
import os
import pathlib
import re
import time
import typing as t

from ...certificates import write_secret
from ..kubernetes_api import Api, ApiError, Object
from .errors import MountError

Content = dict[str, bytes]  # path in the volume -> content
REFRESH_AT = 0.8  # of a token's life, as the kubelet does it


class Volumes:
    """The volumes of one pod below `folder`. `update` writes them, and again what has changed since."""

    def __init__(self, api: Api, pod: Object, folder: pathlib.Path) -> None:
        self._api, self._pod, self._folder = api, pod, folder
        self._tokens: dict[str, tuple[float, str]] = {}  # audience -> (when to ask again, token)

    async def update(self) -> None:
        """Write all volumes. Raises MountError where a Secret or ConfigMap that is not optional is missing."""
        for volume in self._pod["spec"].get("volumes", []):
            content = await self._content(volume)
            folder = self._folder / volume["name"]
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, data in (content or {}).items():
                path = folder / name
                if not path.resolve().is_relative_to(folder.resolve()):
                    raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : the path {name} leads out of the volume')
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not path.exists() or path.read_bytes() != data:
                    write_secret(path, data)
            for path in [path for path in folder.rglob("*") if path.is_file()] if content is not None else []:
                if str(path.relative_to(folder)) not in (content or {}):
                    path.unlink()

    def paths(self, container: Object) -> dict[str, str]:
        """Where the container's mounts are: path in the container -> path on this machine."""
        found = {}
        for mount in container.get("volumeMounts", []):
            source = self._folder / mount["name"]
            if sub := mount.get("subPath"):
                source /= sub
                if not source.exists():
                    source.mkdir(mode=0o700, parents=True)
            found[mount["mountPath"].rstrip("/") or "/"] = str(source)
        return found

    async def _content(self, volume: Object) -> Content | None:
        """What is in a volume; None for those that belong to the pod's processes."""
        name = volume["name"]
        try:
            if "secret" in volume:
                source = volume["secret"]
                return await self._keys("secrets", source["secretName"], source.get("items"), source.get("optional", False))
            if "configMap" in volume:
                source = volume["configMap"]
                return await self._keys("configmaps", source["name"], source.get("items"), source.get("optional", False))
            if "downwardAPI" in volume:
                return self._downward(volume["downwardAPI"].get("items", []))
            if "projected" in volume:
                content: Content = {}
                for source in volume["projected"].get("sources", []):
                    content |= await self._projected(source)
                return content
        except MountError as error:
            raise MountError(f'MountVolume.SetUp failed for volume "{name}" : {error.message}') from error
        return None

    async def _projected(self, source: Object) -> Content:
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            return {token["path"]: (await self._token(token.get("audience", ""), token.get("expirationSeconds", 3600))).encode()}
        if "secret" in source:
            inner = source["secret"]
            return await self._keys("secrets", inner["name"], inner.get("items"), inner.get("optional", False))
        if "configMap" in source:
            inner = source["configMap"]
            return await self._keys("configmaps", inner["name"], inner.get("items"), inner.get("optional", False))
        return self._downward(source.get("downwardAPI", {}).get("items", []))

    async def _keys(self, kind: str, name: str, items: list[Object] | None, optional: bool) -> Content:
        found = await self._api.get(f"/api/v1/namespaces/{self._pod['metadata']['namespace']}/{kind}/{name}")
        singular = {"secrets": "secret", "configmaps": "configmap"}[kind]
        if found is None:
            if optional:
                return {}
            raise MountError(f'{singular} "{name}" not found')
        data = decoded(found, kind)
        if items is None:
            return data
        if missing := [item["key"] for item in items if item["key"] not in data and not optional]:
            raise MountError(f"references non-existent {singular} key: {missing[0]}")
        return {item["path"]: data[item["key"]] for item in items if item["key"] in data}

    async def _token(self, audience: str, seconds: int) -> str:
        renew, token = self._tokens.get(audience, (0.0, ""))
        if time.time() < renew:
            return token
        metadata = self._pod["metadata"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        spec: Object = {"audiences": [audience] if audience else [], "expirationSeconds": seconds, "boundObjectRef": reference}
        account = self._pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        try:
            answer = await self._api.request("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        except ApiError as error:
            raise MountError(f"failed to fetch token: {error.message}") from error
        self._tokens[audience] = (time.time() + REFRESH_AT * seconds, answer["status"]["token"])
        return str(answer["status"]["token"])

    def _downward(self, items: list[Object]) -> Content:
        return {item["path"]: field(self._pod, item["fieldRef"]["fieldPath"]).encode() for item in items if "fieldRef" in item}


def decoded(found: Object, kind: str) -> Content:
    """The data of a Secret ("secrets") or ConfigMap ("configmaps")."""
    if kind == "secrets":
        return {key: base64.b64decode(value or "") for key, value in (found.get("data") or {}).items()}
    texts = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return {**texts, **{key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}}


def field(pod: Object, path: str) -> str:
    """A field of the downward API: metadata.name, metadata.labels['x'], status.podIP. An unknown one is empty."""
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(pod["metadata"].get(found[1], {}).get(found[2], ""))
    value: t.Any = pod
    for name in path.split("."):
        value = value.get(name, {}) if isinstance(value, dict) else {}
    if path in ("metadata.labels", "metadata.annotations"):
        return "\n".join(f'{key}="{text}"' for key, text in sorted(value.items()))
    if path == "status.podIPs":
        return ",".join(item["ip"] for item in value or [])
    return str(value) if not isinstance(value, dict) else ""


def localise(text: str, paths: t.Mapping[str, str]) -> str:
    """Put the places on this machine where a text names a mounted path: processes share this machine's file system."""
    known = [path for path in sorted(paths, key=len, reverse=True) if path != os.sep]
    if not known:
        return text
    pattern = r"(?<![\w./-])(" + "|".join(re.escape(path) for path in known) + r")(?![\w.-])"
    return re.sub(pattern, lambda found: paths[found[1]], text)
