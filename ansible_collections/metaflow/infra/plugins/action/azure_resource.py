# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the progress of azure_resource and, by meta/runtime.yml, of the other modules that may take long."""

from __future__ import annotations

from ..plugin_utils._progress import ActionModule

__all__ = ["ActionModule"]
