# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: show
short_description: Show a text as it is
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Shows a text without quoting or wrapping it, so that commands in it can be copied.
  - This is an action plugin.
options:
  text:
    description: The text.
    type: str
    required: true
extends_documentation_fragment:
  - metaflow.infra.attributes.info
"""

EXAMPLES = r"""
- name: What to do next
  metaflow.infra.show:
    text: "kubectl -n default port-forward service/metadata-service 8080:8080"
"""

RETURN = r""" # """
