# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import ssl

import certifi
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.metaflow.infra.plugins.filter.root_certificates import root_certificates
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = "DigiCert Global Root G2"


@pytest.fixture
def own_root():
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "The site's own")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = (
        made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).add_extension(x509.BasicConstraints(True, None), critical=True)
    )
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def test_only_what_is_named(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    text = root_certificates([ROOT])
    assert text.count("BEGIN CERTIFICATE") == 1
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=text)
    assert ("commonName", ROOT) in {pair for part in context.get_ca_certs()[0]["subject"] for pair in part}


def test_what_the_site_adds_is_trusted_too(monkeypatch, tmp_path, own_root):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(certifi.contents() + own_root)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    text = root_certificates([ROOT])
    assert text.count("BEGIN CERTIFICATE") == 2
    assert own_root.strip() in text
    assert root_certificates([ROOT]) == text


def test_a_folder_of_certificates_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert root_certificates([ROOT]).count("BEGIN CERTIFICATE") == 1


def test_an_unknown_root_is_refused():
    with pytest.raises(AnsibleFilterError, match="No Such Root"):
        root_certificates([ROOT, "No Such Root"])
