# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The root certificates that a pod needs to verify a server outside the cluster."""

from __future__ import annotations

import os
import pathlib
import ssl
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: root_certificates
short_description: Public root certificates by name, and those that the site adds
description:
  - Takes the named root certificates from the set that C(certifi) carries.
  - Adds every root that the controller's own bundle (environment variables E(REQUESTS_CA_BUNDLE) and E(SSL_CERT_FILE)) has beyond
    that set. So a site behind a proxy that inspects TLS, and a sovereign cloud with roots of its own, need no setting.
options:
  _input:
    description: Common names of public roots.
    type: list
    elements: str
    required: true
author: Metaflow infra maintainers (@metaflow-infra)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ ['DigiCert Global Root G2'] | metaflow.infra.root_certificates }}"
"""

RETURN = r"""
_value:
  description: The certificates in PEM, always in the same order.
  type: str
"""

BUNDLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def root_certificates(names: t.Iterable[str]) -> str:
    """PEM of the named public roots and of the site's own; raises AnsibleFilterError for a name that certifi lacks."""
    import certifi

    public = _read(certifi.where())
    by_name = {name: der for der, name in public.items()}
    wanted = list(names)
    missing = [name for name in wanted if name not in by_name]
    if missing:
        raise AnsibleFilterError(f"certifi has no root certificate called {', '.join(missing)}; its newest version may.")
    chosen = {by_name[name] for name in wanted}
    for variable in BUNDLES:
        path = os.environ.get(variable, "")
        if pathlib.Path(path).is_file():
            chosen |= _read(path).keys() - public.keys()
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in sorted(chosen))


def _read(path: str) -> dict[bytes, str]:
    """Common names (or organisational units, where an old root has no name) by certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=path)
    subjects: list[dict[str, str]] = [
        {key: value for part in t.cast("t.Iterable[t.Any]", info.get("subject", ())) for key, value in part} for info in context.get_ca_certs()
    ]
    names = [subject.get("commonName") or subject.get("organizationalUnitName", "") for subject in subjects]
    return dict(zip(context.get_ca_certs(binary_form=True), names, strict=True))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Filters by name."""
        return {"root_certificates": root_certificates}
