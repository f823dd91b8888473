# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_apply
short_description: Apply a list of Kubernetes objects, showing no secret
version_added: 0.1.0
author: The metaflow.infra authors (@metaflow-infra)
description:
  - Hands a list of objects to M(kubernetes.core.k8s) for a server-side apply. What other field managers set otherwise is taken over.
  - Neither the kubeconfig nor the data of Secrets is in the result or the diff.
  - In check mode it also plans for a cluster, or a namespace of the list, that is not there yet.
  - This is an action plugin; it runs M(kubernetes.core.k8s).
options:
  kubeconfig:
    description: The kubeconfig, as data. May be empty in check mode, where the cluster is yet to come.
    type: dict
    required: true
  objects:
    description: The objects.
    type: list
    elements: dict
    required: true
  state:
    description: Whether they should be there.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - metaflow.infra.attributes
seealso:
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Apply two objects
  metaflow.infra.kubernetes_apply:
    kubeconfig: "{{ kubeconfig }}"
    objects: "{{ lookup('ansible.builtin.template', 'objects.yaml.j2') | from_yaml_all }}"
"""

RETURN = r"""
resources:
  description: The objects as they are now or, in check mode, as they would be.
  returned: success
  type: list
  elements: dict
"""
