"""Structured logs: for people in a terminal, JSON otherwise. A job id on each line about a job, a secret on none."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from structlog.types import EventDict, Processor

from service.context import current_job

HIDDEN = "***"
_OURS = frozenset({"level", "logger", "timestamp", "request_id"})
"""Made here, of nothing that anybody sent."""
MAX_FILE, KEPT_FILES = 10 * 10**6, 5
"""Bytes of a log file, and how many older ones are kept beside it."""
_SECRETS = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    (re.compile(r"\bbot\d{3,}(?::|%3A)[\w-]+", re.IGNORECASE), f"bot{HIDDEN}"),
    (re.compile(r"\bmgp_[\w-]+"), HIDDEN),
    (re.compile(r"\b(bearer|tma|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"([?&;](?:s|sig|signature|token|access_token|api_?key|key|auth|password|passwd|secret|code)=)[^&\s'\"]+", re.IGNORECASE
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"((?:set-)?cookie['\"]?\s*[:=]\s*)[^\r\n]+", re.IGNORECASE), rf"\1{HIDDEN}"),
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without credentials, tokens, cookies, signatures and the given secrets."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class _Redact:
    """The last step before the line is written: works on everything, tracebacks included."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def __call__(self, _logger: Any, _name: str, event: EventDict) -> EventDict:
        return {key: value if key in _OURS else self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        return value if isinstance(value, int | float | bool | None) else redacted(str(value), self._secrets)


def _about_job(_logger: Any, _name: str, event: EventDict) -> EventDict:
    if (job := current_job.get()) is not None:
        event.setdefault("job_id", job)
    return event


class _LogFile(RotatingFileHandler):
    """Only the service's own user may read it: there are addresses in it."""

    def __init__(self, path: Path, level: int) -> None:
        super().__init__(path, maxBytes=MAX_FILE, backupCount=KEPT_FILES, encoding="utf-8")
        self.setLevel(level)

    def _open(self) -> TextIOWrapper:
        stream = open(self.baseFilename, self.mode, encoding=self.encoding, opener=_private)  # noqa: SIM115 - the handler closes it
        assert isinstance(stream, TextIOWrapper)
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """A full disk, say. The line went to standard error too; what the library would print there shows secrets."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def set_up_logs(log_format: str = "auto", *, secrets: Iterable[str] = (), level: int = logging.INFO, directory: Path | None = None) -> None:
    """Send every logger's lines to standard error in one form. `secrets` never appear on any.

    With a directory, also to `app.log` there, and errors to `error.log`. Raises `OSError`.
    """
    secrets = tuple(secrets)
    is_terminal = sys.stderr.isatty()
    human = log_format == "human" or (log_format == "auto" and is_terminal)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setFormatter(_formatter(secrets, human="%H:%M:%S" if human else None, colors=is_terminal))
    if directory is not None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handlers += [_LogFile(directory / "app.log", level), _LogFile(directory / "error.log", logging.ERROR)]
        for file in handlers[1:]:
            file.setFormatter(_formatter(secrets, human="%Y-%m-%d %H:%M:%S" if log_format == "human" else None))
    root = logging.getLogger()
    for earlier in root.handlers:
        if isinstance(earlier, _LogFile):
            earlier.close()
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(True)  # noqa: FBT003 - the library's signature; a library's warning is a line like any other
    for noisy in ("aiohttp.access", "asyncio", "alembic", "dbos", "sqlalchemy", "httpx", "httpcore", "telegram", "apscheduler"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _formatter(secrets: tuple[str, ...], *, human: str | None, colors: bool = False) -> logging.Formatter:
    """For people with times in the format `human`; JSON without one."""
    first: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt=human or "iso", utc=human is None),
        _about_job,
    ]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _Redact(secrets),
        structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0) if human else structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=first, processors=last)
