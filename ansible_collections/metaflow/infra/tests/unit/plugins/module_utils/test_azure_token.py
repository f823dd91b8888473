# Copyright (c) 2026, the metaflow.infra authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import urllib.parse

import pytest
import requests
from ansible_collections.metaflow.infra.plugins.module_utils._azure_token import ASSERTION, ClientCredentials, by_secret, by_token_file
from ansible_collections.metaflow.infra.tests.unit import azure_wire
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import RequestsTransport


class Entra(requests.adapters.BaseAdapter):
    def __init__(self, *answers):
        super().__init__()
        self.answers, self.forms = list(answers), []

    def send(self, request, **kwargs):
        self.url = request.url
        self.forms.append(dict(urllib.parse.parse_qsl(request.body)))
        return azure_wire.answer(request, *self.answers.pop(0))

    def close(self):
        pass


def credentials(entra, proof):
    session = requests.Session()
    session.mount("https://", entra)
    return ClientCredentials("https://login.example/", "tenant", "client", proof, RequestsTransport(session=session))


GOOD = (200, {"token_type": "Bearer", "expires_in": 3599, "access_token": "the-token"})


def test_a_secret_is_sent_as_a_form():
    entra = Entra(GOOD)
    token = credentials(entra, by_secret("s&cret")).get_token_info("https://x/.default")
    assert token.token == "the-token"
    assert entra.url == "https://login.example/tenant/oauth2/v2.0/token"
    assert entra.forms == [{"grant_type": "client_credentials", "client_id": "client", "scope": "https://x/.default", "client_secret": "s&cret"}]


def test_a_federated_token_is_read_each_time(tmp_path):
    file = tmp_path / "token"
    entra = Entra(GOOD, GOOD)
    made = credentials(entra, by_token_file(str(file)))
    for text in ("one", "two"):
        file.write_text(text + "\n")
        made.get_token_info("https://x/.default")
    assert [form["client_assertion"] for form in entra.forms] == ["one", "two"]
    assert entra.forms[0]["client_assertion_type"] == ASSERTION


def test_entras_own_words_are_kept():
    entra = Entra((401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}))
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215") as caught:
        credentials(entra, by_secret("x")).get_token_info("https://x/.default")
    assert caught.value.status_code == 401


def test_a_stumbling_entra_is_asked_again():
    entra = Entra((503, None), GOOD)
    assert credentials(entra, by_secret("x")).get_token_info("https://x/.default").token == "the-token"


def test_an_answer_that_is_no_json_is_an_error():
    with pytest.raises(ClientAuthenticationError, match="HTTP 404"):
        credentials(Entra((404, "<html/>")), by_secret("x")).get_token_info("https://x/.default")
