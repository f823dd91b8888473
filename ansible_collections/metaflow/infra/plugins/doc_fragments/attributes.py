# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What every module supports."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what would change, without writing anything.
    support: full
  diff_mode:
    description: Returns what changes, before and after, when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
    support: full
"""

    # For modules that only look.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode); it never changes anything.
    support: full
  diff_mode:
    description: Returns what changes, before and after, when in diff mode.
    support: N/A
    details: This module changes nothing.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run changes nothing.
    support: full
"""

    AZURE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/metaflow.infra.azure) in C(module_defaults) to set options for this module.
    support: full
    membership:
      - metaflow.infra.azure
"""
