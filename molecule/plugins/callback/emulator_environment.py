# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `eval "$(cloud-emulator env)"` does for a shell, for the playbooks of a scenario: molecule has no place for an environment that is
known only once the emulator runs."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: emulator_environment
type: aggregate
short_description: Put the emulator's proxy, CA bundle and credentials into the environment
description: Does nothing where no emulator was started with the state folder E(CLOUD_EMULATOR_STATE).
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "emulator_environment"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        state = pathlib.Path(os.environ["CLOUD_EMULATOR_STATE"])
        if not state.exists():
            return
        answer = subprocess.run(["cloud-emulator", "env", "--format", "json"], check=True, capture_output=True, text=True)
        os.environ.update({name: value for name, value in json.loads(answer.stdout).items() if value is not None})
