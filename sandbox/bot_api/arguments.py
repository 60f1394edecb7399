"""The arguments of one request, whichever way they came."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bot_api.errors import bad_request
from sandbox.bot_api.values import Json

_ALWAYS_TEXT = frozenset({
    "text", "caption", "url", "title", "performer", "callback_query_id", "secret_token", "parse_mode", "emoji", "description",
    "short_description", "name", "language_code", "action", "file_id", "inline_message_id",
    "photo", "audio", "video", "document", "animation", "voice", "video_note", "sticker", "thumbnail", "cover",
})  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Upload:
    """A file that came with the request and lies on disk already. One that no message takes is deleted after the request."""

    path: Path
    size: int
    name: str
    mime: str
    taken: bool = False


class Arguments:
    """Arguments by name. Numbers, flags and structures come as JSON text in forms and as themselves in JSON."""

    def __init__(self, given: Mapping[str, Any], uploads: Mapping[str, Upload]) -> None:
        self.given: Json = {name: _decoded(name, value) for name, value in given.items()}
        self.uploads = uploads

    def item(self, given: Mapping[str, Any]) -> Arguments:
        """One medium among several: its own arguments, the same uploads."""
        return Arguments(given, self.uploads)

    def has(self, name: str) -> bool:
        return self.given.get(name) is not None

    def text(self, name: str) -> str:
        """Empty where it is missing."""
        value = self.given.get(name)
        return "" if value is None else str(value)

    def whole(self, name: str) -> int | None:
        """A whole number. Raises `Refused` for anything else that is there."""
        value = self.given.get(name)
        if value is None or value == "":
            return None
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            raise bad_request(f"invalid {name} specified") from None

    def flag(self, name: str) -> bool:
        return self.given.get(name) in (True, "true", "True", "1", 1, "yes")

    def object(self, name: str) -> Json | None:
        """A JSON object. Raises `Refused` for anything else that is there."""
        value = self.given.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, dict):
            raise bad_request(f"can't parse {name} JSON object")
        return value

    def listed(self, name: str) -> list[Any]:
        """A JSON list, empty where it is missing. Raises `Refused` for anything else that is there."""
        value = self.given.get(name)
        if value is None or value == "":
            return []
        if not isinstance(value, list):
            raise bad_request(f"can't parse {name} JSON object")
        return value

    def objects(self, name: str) -> list[Json]:
        """A JSON list of objects, empty where it is missing. Raises `Refused` for anything else that is there."""
        found = self.listed(name)
        if not all(isinstance(value, dict) for value in found):
            raise bad_request(f"can't parse {name} JSON object")
        return found

    def numbers(self, name: str) -> list[int]:
        """A JSON list of whole numbers. Raises `Refused`."""
        try:
            return [int(value) for value in self.listed(name)]
        except (TypeError, ValueError, OverflowError):
            raise bad_request(f"invalid {name} specified") from None

    def file(self, name: str) -> Upload | None:
        """What was uploaded for this argument: as a part of its name, or as `attach://part`."""
        value = self.given.get(name)
        part = value.removeprefix("attach://") if isinstance(value, str) and value.startswith("attach://") else name
        if part == name and isinstance(value, str) and not value.startswith("attach://"):
            return None
        return self.uploads.get(part)

    def as_json(self) -> Json:
        """For the record of calls: uploads as their name and size in bytes."""
        shown = {name: {"file": upload.name, "size": upload.size} for name, upload in self.uploads.items()}
        return {**shown, **self.given}


def _decoded(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in _ALWAYS_TEXT:
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if isinstance(decoded, float) and not math.isfinite(decoded) else decoded


Method = Callable[[Arguments], Any]
"""A method of the Bot API: its result, or an awaitable of it. Raises `Refused`."""
