"""Where the local chat is, and where it is not."""

from __future__ import annotations

import requests

from tests.e2e.conftest import StartService
from tests.support.running import HANG, BotApiProcess, Running


def chat_status(service: Running, **headers: str) -> int:
    return requests.get(f"{service.url}/chat", headers=headers, timeout=HANG).status_code


def test_without_a_token_a_service_has_the_page_for_this_machine_only(service: Running) -> None:
    assert chat_status(service) == 200
    assert chat_status(service, **{"X-Forwarded-For": "203.0.113.9"}) == 401


def test_beside_a_token_there_is_no_local_chat(start: StartService, telegram: BotApiProcess) -> None:
    service = start(**telegram.settings)
    assert chat_status(service) == 404
    assert not (service.data / "chat").exists()


def test_where_local_trust_is_off_there_is_no_local_chat(start: StartService) -> None:
    assert chat_status(start(trust_local="false")) == 404
