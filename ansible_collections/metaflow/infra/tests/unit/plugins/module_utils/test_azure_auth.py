# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.metaflow.infra.plugins.module_utils._azure_argspec import ENVIRONMENT
from ansible_collections.metaflow.infra.plugins.module_utils._azure_auth import choose, login_error, settings_of, subscription_of
from ansible_collections.metaflow.infra.plugins.module_utils._azure_cloud import cloud_named
from ansible_collections.metaflow.infra.plugins.module_utils._errors import InputError


def settings(environ=None, **params):
    return settings_of({**dict.fromkeys(ENVIRONMENT), **params}, {"PATH": "", **(environ or {})})


WHO = {"tenant_id": "t", "client_id": "c"}


@pytest.mark.parametrize(
    ("params", "environ", "title"),
    [
        ({**WHO, "client_secret": "s"}, {}, "client secret"),
        (WHO, {"AZURE_CLIENT_CERTIFICATE_PATH": "/x"}, "client certificate"),
        (WHO, {"AZURE_FEDERATED_TOKEN_FILE": "/x"}, "workload identity"),
        ({**WHO, "client_secret": "s", "auth_source": "workload_identity"}, {"AZURE_FEDERATED_TOKEN_FILE": "/x"}, "workload identity"),
        ({}, {"AZURE_AD_USER": "u", "AZURE_PASSWORD": "p"}, "user and password"),
        ({}, {"IDENTITY_ENDPOINT": "http://localhost"}, "managed identity"),
        ({"auth_source": "managed_identity"}, {}, "managed identity"),
        ({"auth_source": "cli"}, {}, "Azure CLI"),
    ],
)
def test_the_first_method_that_has_all_it_needs(params, environ, title):
    assert choose(settings(environ, **params)).title == title


def test_none_is_one_sentence():
    with pytest.raises(InputError, match=r"No Azure credentials were found.*AZURE_TENANT_ID.*az login"):
        choose(settings())


def test_half_of_them_says_what_is_missing():
    with pytest.raises(InputError, match=r"incomplete.*AZURE_TENANT_ID must be set too"):
        choose(settings(client_id="c", client_secret="s"))


def test_a_login_with_az_counts_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/az")
    with pytest.raises(InputError):
        choose(settings({"AZURE_CONFIG_DIR": str(tmp_path)}))
    profile = {"subscriptions": [{"id": "other", "isDefault": False}, {"id": "mine", "isDefault": True}]}
    (tmp_path / "azureProfile.json").write_text(json.dumps(profile), encoding="utf-8-sig")
    found = settings({"AZURE_CONFIG_DIR": str(tmp_path)})
    assert choose(found).title == "Azure CLI"
    assert subscription_of(found) == "mine"


def test_no_subscription_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"AZURE_SUBSCRIPTION_ID"):
        subscription_of(settings({"AZURE_CONFIG_DIR": str(tmp_path)}))


@pytest.mark.parametrize(
    ("name", "host"),
    [
        (None, "management.azure.com"),
        ("azurecloud", "management.azure.com"),
        ("AzurePublicCloud", "management.azure.com"),
        ("AzureChinaCloud", "management.chinacloudapi.cn"),
        ("usgovernment", "management.usgovcloudapi.net"),
    ],
)
def test_clouds(name, host):
    assert cloud_named(name).resource_manager == f"https://{host}"


def test_an_unknown_cloud_is_one_sentence():
    with pytest.raises(InputError, match=r"no Azure cloud 'Moon': choose one of AzureCloud, AzureChinaCloud, AzureUSGovernment"):
        cloud_named("Moon")


def test_a_wrong_secret_says_so_without_the_librarys_advice():
    error = login_error(
        ValueError("AADSTS7000215: Invalid client secret provided. Trace ID: x\nTo mitigate this issue, see"), "client secret", "https://login"
    )
    assert str(error) == "log in to Azure (client secret): AADSTS7000215: Invalid client secret provided. (AuthenticationFailed)"
    assert "give its value" in str(error.hint)


def test_a_login_without_a_network_says_so():
    cause = "NewConnectionError('x: [Errno 111] Connection refused')"
    text = f"Authentication failed: HTTPSConnectionPool(host='login'): Max retries exceeded (Caused by {cause})"
    error = login_error(ValueError(text), "client secret", "https://login")
    assert error.code == "NoConnection"
    assert "https://login can't be reached: [Errno 111] Connection refused" in str(error)
    assert "HTTPS_PROXY" in str(error.hint)
