"""Why a pod or a container cannot be started (yet)."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class MountError(Exception):
    """A volume cannot be set up: the pod waits in ContainerCreating, and an event FailedMount says why."""

    message: str


@dataclasses.dataclass
class ConfigurationError(Exception):
    """A container cannot be created: it waits with CreateContainerConfigError."""

    message: str
