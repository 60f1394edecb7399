"""Extractions as files: written by the worker that looked, read by the worker that fetches. See `extractions`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL

_MAX_BYTES = 16 * 1024 * 1024


def write(place: Path, info: Mapping[str, Any]) -> None:
    """Write an extraction down, as `YoutubeDL.process_ie_result` takes it again. What is too much is not kept."""
    text = json.dumps(_reusable(info))
    if len(text) > _MAX_BYTES:
        return
    fresh = place.with_name(f".{place.stem}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(place)


def read(place: str | None) -> dict[str, Any] | None:
    """What `write` wrote; None when it is gone or cannot be read."""
    if place is None:
        return None
    try:
        found = json.loads(Path(place).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def drop(place: str) -> None:
    Path(place).unlink(missing_ok=True)


def _reusable(info: Mapping[str, Any]) -> dict[str, Any]:
    """Without what yt-dlp copied up from the format that it took: another selection takes another one."""
    of_format = YoutubeDL._format_fields - {"language", "http_headers"} if info.get("formats") else set()  # noqa: SLF001 - its own list of them
    reusable: dict[str, Any] = YoutubeDL.sanitize_info(
        {key: value for key, value in info.items() if key not in of_format}, remove_private_keys=True
    )
    return reusable
