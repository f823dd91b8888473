"""Placeholder"""
from __future__ import annotations

import typing as t

from .kubernetes_api import Api, Object


class Workloads:
    def __init__(self, emulator: t.Any, api: Api, control_plane: t.Any) -> None: ...
    def pod_changed(self, pod: Object, gone: bool) -> None: ...
    async def stop(self) -> None: ...
