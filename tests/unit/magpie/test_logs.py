from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from magpie import logs
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


# --- log files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(root: logging.Logger, tmp_path: Path) -> Iterator[Path]:
    """Where logs go that are set up by the test."""
    yield tmp_path / "logs"
    set_up_logs("json")  # closes the files


def events(file: Path) -> list[str]:
    return [json.loads(line)["event"] for line in file.read_text().splitlines()]


def test_the_log_has_everything_and_the_error_log_has_errors(folder: Path) -> None:
    set_up_logs("json", directory=folder)
    log = logging.getLogger("x")
    log.info("all is well")
    log.warning("it creaks")
    log.error("it broke")
    assert events(folder / "app.log") == ["all is well", "it creaks", "it broke"]
    assert events(folder / "error.log") == ["it broke"]


def test_no_secret_gets_into_a_file(folder: Path) -> None:
    set_up_logs("json", secrets=["the-secret-key-itself"], directory=folder)
    try:
        int("https://u:hunter2@example.com the-secret-key-itself")
    except ValueError:
        logging.getLogger("x").exception("it broke", extra={"url": "https://u:hunter2@e.com"})
    for name in ("app.log", "error.log"):
        text = (folder / name).read_text()
        assert "ValueError" in text
        assert "hunter2" not in text
        assert "the-secret-key-itself" not in text


def test_what_is_written_stays_on_standard_error_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", directory=folder)
    logging.getLogger("x").info("all is well")
    assert "all is well" in capsys.readouterr().err


def test_a_file_for_people_has_dates_and_no_colours(folder: Path) -> None:
    set_up_logs("human", directory=folder)
    logging.getLogger("x").info("all is well")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .*all is well", (folder / "app.log").read_text())
    assert "\x1b" not in (folder / "app.log").read_text()


def test_a_full_file_makes_room_for_the_next_and_only_so_many_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_FILE", 500)
    monkeypatch.setattr(logs, "KEPT_FILES", 2)
    set_up_logs("json", directory=folder)
    for number in range(50):
        logging.getLogger("x").info("line %s", number)
    files = sorted(path.name for path in folder.glob("app.log*"))
    assert files == ["app.log", "app.log.1", "app.log.2"]
    assert all(0 < (folder / name).stat().st_size <= 500 for name in files)
    assert events(folder / "app.log")[-1] == "line 49"


def test_a_log_goes_on_where_it_ended_before_a_restart(folder: Path) -> None:
    for word in ("before", "after"):
        set_up_logs("json", directory=folder)
        logging.getLogger("x").info(word)
    assert events(folder / "app.log") == ["before", "after"]


def test_only_the_services_user_may_read_the_files(folder: Path) -> None:
    set_up_logs("json", directory=folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert [(folder / name).stat().st_mode & 0o777 for name in ("app.log", "error.log")] == [0o600, 0o600]


def test_a_disk_that_is_full_shows_no_secret_on_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", secrets=["the-secret-key-itself"], directory=folder)
    for handler in logging.getLogger().handlers[1:]:
        handler.emit = lambda record, handler=handler: handler.handleError(record)  # type: ignore[misc, method-assign]
    logging.getLogger("x").error("it broke: %s", "the-secret-key-itself")
    told = capsys.readouterr().err
    assert "it broke" in told
    assert "the-secret-key-itself" not in told


def test_a_directory_that_cannot_be_made_is_said_at_once(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(OSError, match="logs"):
        set_up_logs("json", directory=folder)
