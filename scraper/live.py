"""Streams that are still running, or that have not begun: they have no end that a download could reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scraper.failures import JobFailed


def refuse_live(info: Mapping[str, Any]) -> None:
    """Raises `JobFailed` with `live_stream`."""
    if info.get("is_live") or info.get("live_status") in {"is_live", "is_upcoming", "post_live"}:
        raise JobFailed("live_stream", str(info.get("live_status")))
