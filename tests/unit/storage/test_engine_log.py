"""What of the engine's own log is passed on, and how loudly."""

from __future__ import annotations

import logging

import pytest

from storage.queue import _NoCancelNoise


def said(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("dbos", level, __file__, 1, text, None, None)


def test_a_run_that_went_with_its_row_or_to_another_process_is_information() -> None:
    record = said("Workflow 1 is no longer owned by this execution. Waiting for the owner's recorded outcome")
    assert _NoCancelNoise().filter(record)
    assert (record.levelno, record.levelname) == (logging.INFO, "INFO")


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR])
def test_what_else_it_warns_of_stays_as_loud_as_it_is(level: int) -> None:
    record = said("The system database does not answer", level)
    assert _NoCancelNoise().filter(record)
    assert record.levelno == level


def test_a_cancelled_run_is_no_news() -> None:
    assert not _NoCancelNoise().filter(said("Workflow 1 was cancelled during execution"))
