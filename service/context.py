"""What the running code is about, for the log: set once, seen by everything below it."""

from __future__ import annotations

from contextvars import ContextVar

current_job: ContextVar[str | None] = ContextVar("current_job", default=None)
