# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of each role is one: meta/argument_specs.yml and defaults/main.yml say the same."""

from __future__ import annotations

import pathlib

import pytest
import yaml

ROLES = pathlib.Path(__file__).parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir())


def read(role, path):
    return yaml.safe_load((ROLES / role / path).read_text())


def options(role, entry="main"):
    return read(role, "meta/argument_specs.yml")["argument_specs"][entry]["options"]


def every(found, path=""):
    """Each option and suboption with its path."""
    for name, option in found.items():
        yield f"{path}{name}", option
        yield from every(option.get("options", {}), f"{path}{name}.")


@pytest.mark.parametrize("role", NAMES)
def test_defaults_have_the_keys_of_the_interface(role):
    assert set(read(role, "defaults/main.yml")) == set(options(role))


@pytest.mark.parametrize("role", NAMES)
def test_a_default_is_the_same_in_both(role):
    defaults = read(role, "defaults/main.yml")
    told = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert told == {name: defaults[name] for name in told}
    made = {name for name, value in defaults.items() if "{{" not in str(value)}
    assert made <= set(told) | {name for name in made if defaults[name] is None}


@pytest.mark.parametrize("role", NAMES)
def test_every_option_has_a_type_and_a_description(role):
    for path, option in every(options(role)):
        assert option.get("type"), path
        assert option.get("description"), path
        assert option["type"] != "list" or option.get("elements"), path


@pytest.mark.parametrize("role", NAMES)
def test_public_variables_carry_the_role_s_name(role):
    assert all(name.startswith(f"{role}_") for name in options(role))
    assert all(name.startswith(f"__{role}_") for name in read(role, "vars/main.yml"))


@pytest.mark.parametrize("role", NAMES)
def test_all_entry_points_have_one_interface_and_a_task_file(role):
    for entry in read(role, "meta/argument_specs.yml")["argument_specs"]:
        assert options(role, entry) == options(role)
        assert (ROLES / role / "tasks" / f"{entry}.yml").exists()


@pytest.mark.parametrize("role", NAMES)
def test_main_only_names_phases(role):
    for phase in read(role, "tasks/main.yml"):
        assert {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"} & set(phase)
        assert phase["tags"]


@pytest.mark.parametrize("role", NAMES)
def test_no_role_reads_another_s_variables(role):
    others = [f"{other}_" for other in NAMES if other != role]
    for path in (ROLES / role).rglob("*.yml"):
        words = path.read_text().replace("azure_infra_outputs", "")
        assert not [other for other in others if other in words], path


@pytest.mark.parametrize("role", NAMES)
def test_no_task_runs_a_program(role):
    for path in (ROLES / role).glob("tasks/*.yml"):
        assert not {"ansible.builtin.command", "ansible.builtin.shell"} & {key for task in read(role, path.relative_to(ROLES / role)) for key in task}
