from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from magpie.logs import redacted, set_up_logs
from service.context import current_job


@pytest.mark.parametrize(
    "text",
    [
        "GET https://user:hunter2@example.com/x",
        "POST https://api.telegram.org/bot123456:AAhunter2/getMe",
        "GET https://api.telegram.org/file/bot123456%3AAAhunter2/x",
        "Authorization: Bearer hunter2hunter2",
        "key mgp_hunter2",
        "GET /media/downloads/a/b/c?e=1&s=hunter2",
        "https://example.com/?token=hunter2&x=1",
        "{'Cookie': 'sid=hunter2'}",
        "Set-Cookie: sid=hunter2; Path=/",
        "postgresql://magpie:hunter2@db/magpie",
        "our own key hunter2hunter2hunter2",
    ],
)
def test_no_secret_survives(text: str) -> None:
    assert "hunter2" not in redacted(text, secrets=["hunter2hunter2hunter2"])


def test_ordinary_text_is_left_alone() -> None:
    text = "job completed https://www.youtube.com/watch?v=abc title='a key to s=success'"
    assert redacted(text) == text


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield root
    root.handlers, root.level = handlers, level


def test_each_line_of_a_job_has_its_id_and_tracebacks_are_clean_too(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", secrets=["the-secret-key-itself"])
    token = current_job.set("job-1")
    try:
        int("https://u:hunter2@example.com the-secret-key-itself")
    except ValueError:
        logging.getLogger("x").exception("it broke %s", "here", extra={"url": "https://u:hunter2@e.com", "n": 3})
    finally:
        current_job.reset(token)
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["job_id"], event["event"], event["n"], event["level"]) == ("job-1", "it broke here", 3, "error")
    assert "ValueError" in event["exception"]
    assert "hunter2" not in line
    assert "the-secret-key-itself" not in line


def test_people_get_a_readable_line(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("human")
    logging.getLogger("x").warning("plain words")
    assert "plain words" in capsys.readouterr().err
