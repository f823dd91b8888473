# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Server-side apply of a list of objects by kubernetes.core.k8s, without a secret in what is shown.

That module returns the kubeconfig it was given and the data of Secrets, and can't plan for a cluster that is not there yet.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

Json = dict[str, t.Any]
FIELD_MANAGER = "metaflow.infra"
# Kubernetes' own bookkeeping, of no interest in a diff.
BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
HIDDEN = "(hidden)"
SPEC: Json = {
    "kubeconfig": {"type": "dict", "required": True},
    "objects": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Json:
        result: Json = super().run(tmp, task_vars)
        del tmp
        validate: t.Any = self.validate_argument_spec
        dummy, args = validate(argument_spec=SPEC)
        objects, present = args["objects"], args["state"] == "present"
        if not args["kubeconfig"] and self._task.check_mode:
            return result | planned(objects if present else [])
        module_args: Json = {"kubeconfig": args["kubeconfig"], "definition": objects, "state": args["state"]}
        if present:
            module_args |= {"apply": True, "server_side_apply": {"field_manager": FIELD_MANAGER, "force_conflicts": True}}
        answer = self._execute_module(module_name="kubernetes.core.k8s", module_args=module_args, task_vars=task_vars)
        if answer.get("failed"):
            if self._task.check_mode and namespace_to_come(answer, objects):
                return result | planned(objects)
            return result | {"failed": True, "msg": explained(answer)}
        return result | shaped(answer, objects)


def planned(objects: list[Json]) -> Json:
    """All of it is to be made."""
    return {"changed": bool(objects), "resources": [shown(o) for o in objects], "diff": [difference(o, {}, shown(o)) for o in objects]}


def namespace_to_come(answer: Json, objects: list[Json]) -> bool:
    """Whether the refusal is only that a namespace, which is in the list, is not there yet: a dry run makes none."""
    coming = [o["metadata"]["name"] for o in objects if o["kind"] == "Namespace"]
    return any(
        f'namespaces \\"{name}\\" not found' in str(answer.get("msg")) or f'namespaces "{name}" not found' in str(answer.get("msg"))
        for name in coming
    )


def explained(answer: Json) -> str:
    """The error, without what kubernetes.core returns beside it."""
    text = str(answer.get("msg") or "kubernetes.core.k8s failed")
    # A traceback of a missing library says more than the message in front of it.
    detail = str(answer.get("exception") or answer.get("module_stderr") or "").strip().splitlines()
    return f"{text} {detail[-1]}".strip() if detail and not answer.get("reason") else text


def shaped(answer: Json, objects: list[Json]) -> Json:
    """What was made of each object, in their order."""
    results = answer["result"]["results"] if "results" in (answer.get("result") or {}) else [answer]
    diffs = [
        difference(o, shown({"kind": o["kind"], **r["diff"].get("before", {})}), shown({"kind": o["kind"], **r["diff"].get("after", {})}))
        for o, r in zip(objects, results, strict=True)
        if r.get("changed") and r.get("diff")
    ]
    return {
        "changed": bool(answer.get("changed")),
        "resources": [shown(r.get("result") or {}) for r in results],
        "diff": diffs,
        "warnings": [w for r in results for w in r.get("warnings", [])],
    }


def shown(found: Json) -> Json:
    """The object without bookkeeping, and without the data of a Secret."""
    result = dict(found)
    if isinstance(result.get("metadata"), dict):
        result["metadata"] = {key: value for key, value in result["metadata"].items() if key not in BOOKKEEPING}
    if result.get("kind") == "Secret":
        result |= {key: dict.fromkeys(result[key], HIDDEN) for key in ("data", "stringData") if isinstance(result.get(key), dict)}
    return result


def difference(found: Json, before: Json, after: Json) -> Json:
    """One entry of Ansible's diff."""
    metadata = found["metadata"]
    title = "/".join(filter(None, (found["kind"], metadata.get("namespace"), metadata["name"])))
    return {"before_header": title, "after_header": title, "before": before, "after": after}
