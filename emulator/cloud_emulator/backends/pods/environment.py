"""A container's environment, as a kubelet makes it: the Services of its namespace, envFrom, env with references and $(VAR)."""

from __future__ import annotations

import re
import typing as t

from ..autoscaler import amount
from ..kubernetes_api import Api, Object
from .errors import ConfigurationError
from .files import decoded, field

Environment = dict[str, str]


async def resolve(api: Api, pod: Object, container: Object) -> Environment:
    """All variables. Raises ConfigurationError where a Secret, ConfigMap or key that is not optional is missing."""
    namespace = pod["metadata"]["namespace"]
    services = await _services(api, namespace) if pod["spec"].get("enableServiceLinks", True) else {}
    found: Environment = {}
    for source in container.get("envFrom", []):
        kind, reference = ("secrets", source["secretRef"]) if "secretRef" in source else ("configmaps", source["configMapRef"])
        values = await _data(api, namespace, kind, reference["name"], reference.get("optional", False))
        found |= {source.get("prefix", "") + key: value.decode(errors="replace") for key, value in (values or {}).items()}
    for variable in container.get("env", []):
        value = await _value(api, pod, container, variable, {**services, **found})
        if value is not None:
            found[variable["name"]] = value
    return {**services, **found}


def expand(text: str, environment: t.Mapping[str, str]) -> str:
    """$(NAME) -> its value where it has one, $$ -> $, as in commands, arguments and values."""
    return re.sub(
        r"\$\$|\$\(([^)]+)\)",
        lambda found: "$" if found[0] == "$$" else environment.get(found[1], found[0]),
        text,
    )


async def _value(api: Api, pod: Object, container: Object, variable: Object, known: Environment) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value", ""), known)
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return _resource(container, source["resourceFieldRef"])
    kind, reference = ("secrets", source["secretKeyRef"]) if "secretKeyRef" in source else ("configmaps", source["configMapKeyRef"])
    optional, key, namespace = reference.get("optional", False), reference["key"], pod["metadata"]["namespace"]
    values = await _data(api, namespace, kind, reference["name"], optional)
    if values is None or key not in values:
        if optional:
            return None
        raise ConfigurationError(f"couldn't find key {key} in {_kind(kind)} {namespace}/{reference['name']}")
    return values[key].decode(errors="replace")


async def _data(api: Api, namespace: str, kind: str, name: str, optional: bool) -> dict[str, bytes] | None:
    found = await api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
    if found is None:
        if optional:
            return None
        raise ConfigurationError(f'{_kind(kind).lower()} "{name}" not found')
    return decoded(found, kind)


def _kind(plural: str) -> str:
    return {"secrets": "Secret", "configmaps": "ConfigMap"}[plural]


def _resource(container: Object, reference: Object) -> str:
    group, _, name = reference["resource"].partition(".")
    quantity = container.get("resources", {}).get(group, {}).get(name, "0")
    divisor = reference.get("divisor") or "1"
    return str(-int(-(amount(quantity) / (amount(divisor) or 1)) // 1))  # rounded up


async def _services(api: Api, namespace: str) -> Environment:
    """NAME_SERVICE_HOST and so on for every Service of the namespace that has an address."""
    found: Environment = {}
    for service in (await api.request("GET", f"/api/v1/namespaces/{namespace}/services"))["items"]:
        ip, ports = service["spec"].get("clusterIP", ""), service["spec"].get("ports", [])
        if ip in ("", "None") or not ports or (namespace == "default" and service["metadata"]["name"] == "kubernetes"):
            continue
        name = service["metadata"]["name"].upper().replace("-", "_")
        found |= {f"{name}_SERVICE_HOST": ip, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
        found[f"{name}_PORT"] = f"{ports[0].get('protocol', 'TCP').lower()}://{ip}:{ports[0]['port']}"
        for port in ports:
            number, protocol = str(port["port"]), port.get("protocol", "TCP")
            if port.get("name"):
                found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = number
            prefix = f"{name}_PORT_{number}_{protocol}"
            found |= {
                prefix: f"{protocol.lower()}://{ip}:{number}",
                f"{prefix}_PROTO": protocol.lower(),
                f"{prefix}_PORT": number,
                f"{prefix}_ADDR": ip,
            }
    return found
