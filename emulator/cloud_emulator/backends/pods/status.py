"""What the API server is told of a pod: pure functions of what its containers do."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..kubernetes_api import Object


def now() -> str:
    """The time as the API has it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclasses.dataclass
class ContainerStatus:
    """One container as the kubelet sees it; `state` and `last_state` are as in the API."""

    name: str
    image: str
    state: Object = dataclasses.field(default_factory=lambda: waiting("PodInitializing"))
    last_state: Object = dataclasses.field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False

    @property
    def exit_code(self) -> int | None:
        """None while it has not ended."""
        terminated = self.state.get("terminated")
        return None if terminated is None else int(terminated["exitCode"])

    @property
    def is_running(self) -> bool:
        return "running" in self.state

    def as_object(self) -> Object:
        image_id = f"{self.image.partition('@')[0]}@sha256:{'0' * 64}" if self.is_running or self.exit_code is not None else ""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": image_id,
            "state": self.state,
            "lastState": self.last_state,
            "restartCount": self.restarts,
            "ready": self.ready,
            "started": self.started,
        }


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(since: str) -> Object:
    return {"running": {"startedAt": since}}


def terminated(exit_code: int, since: str, reason: str = "", message: str = "") -> Object:
    """A container that has ended; a negative exit code is a signal's number, as Python has it."""
    code = 128 - exit_code if exit_code < 0 else exit_code
    ended: Object = {"exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error"), "startedAt": since, "finishedAt": now()}
    if message:
        ended["message"] = message
    return {"terminated": ended}


def phase(pod: Object, inits: t.Sequence[ContainerStatus], mains: t.Sequence[ContainerStatus]) -> str:
    """Pending, Running, Succeeded or Failed."""
    policy = pod["spec"].get("restartPolicy", "Always")
    sidecars = {c["name"] for c in pod["spec"].get("initContainers", []) if c.get("restartPolicy") == "Always"}
    pending_inits = [status for status in inits if status.name not in sidecars and status.exit_code != 0]
    if any(status.exit_code not in (None, 0) for status in pending_inits) and policy == "Never":
        return "Failed"
    if pending_inits:
        return "Pending"
    codes = [status.exit_code for status in mains]
    if all(code is not None for code in codes) and (policy == "Never" or (policy == "OnFailure" and not any(codes))):
        return "Failed" if any(codes) else "Succeeded"
    return "Running" if any(status.is_running or status.exit_code is not None or status.last_state for status in mains) else "Pending"


def pod_status(pod: Object, inits: t.Sequence[ContainerStatus], mains: t.Sequence[ContainerStatus], *, ip: str, host_ip: str, start: str) -> Object:
    """The status, but for the condition PodScheduled, which is the scheduler's."""
    current = phase(pod, inits, mains)
    over = current in ("Succeeded", "Failed")
    sidecars = {c["name"] for c in pod["spec"].get("initContainers", []) if c.get("restartPolicy") == "Always"}
    not_initialised = [s.name for s in inits if (not s.started if s.name in sidecars else s.exit_code != 0)] if not over else []
    not_ready = [status.name for status in mains if not status.ready]
    completed = ("PodCompleted", "") if current == "Succeeded" else ("PodFailed", "") if current == "Failed" else None
    conditions = [
        _condition(pod, "PodReadyToStartContainers", bool(ip) and not over),
        _condition(pod, "Initialized", not not_initialised, "ContainersNotInitialized", "containers with incomplete status: ", not_initialised),
    ]
    for kind in ("Ready", "ContainersReady"):
        if completed:
            conditions.append(_condition(pod, kind, False, *completed))
        else:
            conditions.append(_condition(pod, kind, not not_ready, "ContainersNotReady", "containers with unready status: ", not_ready))
    status: Object = {
        "phase": current,
        "conditions": conditions,
        "containerStatuses": [container.as_object() for container in mains],
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": start,
        "qosClass": pod.get("status", {}).get("qosClass", "BestEffort"),
    }
    if inits:
        status["initContainerStatuses"] = [container.as_object() for container in inits]
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    return status


def _condition(pod: Object, kind: str, holds: bool, reason: str = "", message: str = "", names: t.Sequence[str] = ()) -> Object:
    status = "True" if holds else "False"
    before = next((c for c in pod.get("status", {}).get("conditions", []) if c["type"] == kind), None)
    since = before["lastTransitionTime"] if before and before["status"] == status and before.get("lastTransitionTime") else now()
    # Null takes away what an earlier patch has set.
    text = (message + f"[{' '.join(names)}]" if names else message) or None
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": since,
        "reason": None if holds else reason or None,
        "message": None if holds else text,
    }
