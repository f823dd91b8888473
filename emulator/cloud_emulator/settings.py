"""What a user may turn while the emulator runs: how long operations take, latency, delays of replication, quotas."""

from __future__ import annotations

import json
import pathlib
import typing as t

Value = str | int | float | bool

DEFAULTS: dict[str, Value] = {
    "retry_after": 1,  # seconds, as poll answers say; 0 would make Microsoft's clients wait 30 s
    "latency": 0.0,  # seconds added to every answer
    "replication_delay": 0.0,  # seconds until a new principal is visible
    "delegation_lingers": 0.0,  # seconds that a deleted database server keeps its subnet
    "missing_images": "",  # parts of the names of container images that no registry has, separated by commas
}
GROUPS = ("durations", "quotas", "limits")  # free keys below these: durations.managedClusters, quotas.standardDSv5Family


class Settings:
    """Settings by dotted name, kept in one JSON file (flat: name -> value)."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._values: dict[str, Value] = json.loads(path.read_text()) if path.exists() else {}

    @property
    def retry_after(self) -> int:
        """Seconds that a poll answer asks the client to wait; never below 1."""
        return max(1, int(self._values.get("retry_after", DEFAULTS["retry_after"])))

    @property
    def latency(self) -> float:
        return self._seconds("latency")

    @property
    def replication_delay(self) -> float:
        return self._seconds("replication_delay")

    @property
    def delegation_lingers(self) -> float:
        return self._seconds("delegation_lingers")

    @property
    def durations(self) -> dict[str, float]:
        """Seconds that an operation on a resource type takes, by the type's last segment; what is not listed takes 0."""
        return {name.partition(".")[2]: float(value) for name, value in self._values.items() if name.startswith("durations.")}

    def _seconds(self, name: str) -> float:
        return float(self._values.get(name, DEFAULTS[name]))

    def get(self, name: str, default: t.Any = None) -> t.Any:
        """A setting by its dotted name, such as quotas.cores."""
        return self._values.get(name, DEFAULTS.get(name, default))

    def all(self) -> dict[str, Value]:
        return {**DEFAULTS, **self._values}

    def update(self, changes: t.Mapping[str, str]) -> None:
        """Take over settings as written on the command line; an empty value takes the setting back to its default.

        Raises ValueError, in one sentence and with nothing changed, on an unknown name or a bad value.
        """
        values = dict(self._values)
        for name, text in changes.items():
            group, _, rest = name.partition(".")
            if name not in DEFAULTS and not (group in GROUPS and rest):
                known = ", ".join([*DEFAULTS, *(f"{group}.NAME" for group in GROUPS)])
                raise ValueError(f"There is no setting '{name}'; the settings are {known}.")
            if text == "":
                values.pop(name, None)
            else:
                values[name] = text if isinstance(DEFAULTS.get(name), str) else _number(name, text)
        self._path.touch(mode=0o600, exist_ok=True)
        self._path.write_text(json.dumps(values, indent=2) + "\n")
        self._values = values


def _number(name: str, text: str) -> float | int:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"The setting '{name}' takes a number that is not negative, not '{text}'.")
    if name == "retry_after" and value < 1:
        raise ValueError("The setting 'retry_after' is at least 1: Microsoft's clients wait 30 seconds on 0.")
    return int(value) if value.is_integer() else value
