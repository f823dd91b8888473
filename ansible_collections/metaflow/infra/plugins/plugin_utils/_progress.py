# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module and shows what it tells of its progress while it runs.

The module writes lines into a FIFO in a folder that only this user can enter; a thread here shows each as it comes. The module finds the FIFO
by an environment variable; run otherwise, or on another machine, it is silent. Lines hold names and states, never values.

The action plugin azure_resource is this class, and meta/runtime.yml sends all modules that may take long there.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import threading
import typing as t

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()
PROGRESS = "METAFLOW_INFRA_PROGRESS"
END = b"\0"
LOCAL_TMP: str = C.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]  # of this run of ansible alone, which removes it at its end


class ActionModule(ActionBase):
    """Runs the module of the task, whichever it is."""

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        del tmp
        if self._task.async_val or getattr(self._connection, "transport", "") != "local":
            result |= self._execute_module(task_vars=task_vars, wrap_async=bool(self._task.async_val))
            return result
        folder = pathlib.Path(tempfile.mkdtemp(prefix="progress-", dir=LOCAL_TMP))  # mode 0700
        fifo = folder / "progress"
        os.mkfifo(fifo, 0o600)
        # Open for both, so that it neither waits for a writer nor ends when one goes.
        descriptor = os.open(fifo, os.O_RDWR)
        teller = threading.Thread(target=tell, args=(descriptor,), daemon=True)
        teller.start()
        environment = {PROGRESS: str(fifo)}
        self._task.environment = [*(self._task.environment or []), environment]
        try:
            result |= self._execute_module(task_vars=task_vars)
            return result
        finally:
            self._task.environment = [e for e in self._task.environment if e is not environment]
            os.write(descriptor, END)
            teller.join(timeout=5)
            os.close(descriptor)
            shutil.rmtree(folder, ignore_errors=True)


def tell(descriptor: int) -> None:
    """Show each line that arrives, until END does."""
    rest = b""
    while True:
        data = os.read(descriptor, 65536)
        *lines, rest = (rest + data.replace(END, b"")).split(b"\n")
        for line in lines:
            display.display(f"    {line.decode(errors='replace')}", color="cyan")
        if END in data:
            return
