# Private to the collection: its interface may change at any time.
# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The frame that every module runs in.

How a module is written on it:

    from ..module_utils._azure_argspec import azure_spec
    from ..module_utils._compare import Rules
    from ..module_utils._plan import plan, plan_absent
    from ..module_utils._run import Run, main_of

    API = "2025-08-01"
    RULES = Rules(immutable=("location",), write_only=("properties.administratorLoginPassword",))

    def work(run: Run) -> dict[str, t.Any]:
        from ..module_utils._azure_client import connect        # lazy: bad input is refused before anything heavy is imported

        azure = connect(run)                                     # credentials, retries, deadline, progress
        path = azure.id(run.params["resource_group"], "Microsoft.DBforPostgreSQL/flexibleServers", run.params["name"])
        live = azure.get(path, API)                              # None where it is not there
        change = plan(path, wanted(run.params), live, RULES) if run.present else plan_absent(path, live)
        if run.writes([change]):                                 # notes changed and diff; False in check mode or where nothing differs
            if run.present:
                return {"server": azure.put(path, API, change.body)}     # awaits the operation, returns the live body
            azure.delete(path, API)                              # until a read says 404
        return {"server": change.after}                          # as it is, or as it would be

    def main() -> None:
        main_of({**azure_spec(), "name": {"type": "str", "required": True}}, work)

Only here is `fail_json` called. A module raises InputError (one sentence, before anything is written); the client raises ApiError and Timeout.
"""

from __future__ import annotations

import sys
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._errors import InfraError
from ._plan import Change, diff
from ._progress import Progress
from ._wait import Clock, Deadline, wait_for

T = t.TypeVar("T")
TIMEOUT = 3600


class Run:
    """One run of a module: what was asked, how much time is left, whom to tell, what changed."""

    clock: Clock = time

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, t.Any] = module.params
        self.check_mode: bool = module.check_mode
        self.deadline = Deadline(self.params.get("timeout") or TIMEOUT, self.clock)
        self.report = Progress.from_environment(self.deadline)
        self.changed = False
        self.diff: dict[str, t.Any] = {"before": {}, "after": {}}

    @property
    def present(self) -> bool:
        return bool(self.params.get("state", "present") == "present")

    def writes(self, changes: t.Sequence[Change]) -> bool:
        """Note what is going to change, and say whether to go on and write: not in check mode, not where nothing differs."""
        if any(changes):
            self.changed = True
            for side, values in diff(changes).items():
                self.diff[side].update(values)
        return any(changes) and not self.check_mode

    def wait_for(
        self,
        read: t.Callable[[], T],
        done: t.Callable[[T], bool],
        what: str,
        state: t.Callable[[T], str] = str,
        timeout: float | None = None,
        pauses: t.Iterable[float] | None = None,
    ) -> T:
        """`_wait.wait_for` with this run's deadline (or an earlier one, `timeout` seconds from now) and reporter."""
        deadline = self.deadline.within(timeout) if timeout is not None else self.deadline
        return wait_for(read, done, what=what, deadline=deadline, state=state, report=self.report, pauses=pauses)

    def warn(self, text: str) -> None:
        self.module.warn(text)


def main_of(
    spec: dict[str, t.Any],
    work: t.Callable[[Run], dict[str, t.Any]],
    secrets: t.Callable[[t.Mapping[str, t.Any]], t.Iterable[str]] | None = None,
    **options: t.Any,
) -> None:
    """Make the module from its argument spec (and AnsibleModule's own `options`), do the work, end with its result or failure.

    `secrets` finds, in the parameters, what is secret within an option that is not so as a whole: it is kept out of the system's log and of
    what the module returns.
    """
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True, no_log=secrets is not None, **options)
    if secrets is not None:
        module.no_log_values.update(secrets(module.params))
    run = Run(module)
    try:
        result = work(run)
    except InfraError as error:
        text = f"{error} {error.hint}" if error.hint else str(error)
        module.fail_json(msg=text, failure=error.failure, changed=run.changed and not run.check_mode, diff=run.diff)
    except ImportError as error:
        module.fail_json(msg=f"{error} ({sys.executable}). Install what the collection's requirements.txt names there.")
    module.exit_json(changed=run.changed, diff=run.diff, **result)
