"""The link for a new password on the terminal of whoever started the service: there, and in no file."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import pytest

from magpie.cli import say
from magpie.mail import TerminalMail
from service.model import Account

TOKEN = "a-secret-token"


def ada() -> Account:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    return Account(id=1, username="ada", email="ada@example.com", is_active=True, is_superuser=False, created_at=noon)


@pytest.fixture
def screen() -> Iterator[tuple[int, TextIO]]:
    """What is shown on a terminal, and the terminal for programs to write to."""
    shown, terminal = pty.openpty()
    with os.fdopen(terminal, "w", buffering=1) as writes:
        yield shown, writes
    os.close(shown)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TextIO]:
    with (tmp_path / "output").open("w+", buffering=1) as file:
        yield file


async def send() -> None:
    await TerminalMail(say, address="http://127.0.0.1:8000").send_reset(ada(), TOKEN)


async def test_a_terminal_shows_the_link_though_data_go_into_a_file(
    screen: tuple[int, TextIO], file: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, terminal = screen
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setattr(sys, "stderr", terminal)
    await send()
    os.set_blocking(shown, False)
    assert f"http://127.0.0.1:8000/app/reset?token={TOKEN}" in os.read(shown, 4096).decode()


async def test_a_log_file_never_gets_the_link_though_data_go_to_a_terminal(
    screen: tuple[int, TextIO], file: TextIO, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, terminal = screen
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", file)
    await send()
    file.seek(0)
    assert (TOKEN in file.read(), TOKEN in caplog.text, "MAGPIE_SMTP_URL" in caplog.text) == (False, False, True)


async def test_where_there_is_no_standard_error_the_link_goes_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    await send()
    assert (TOKEN in caplog.text, "MAGPIE_SMTP_URL" in caplog.text) == (False, True)
