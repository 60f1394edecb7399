"""What workers say, as the service's values."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.descriptions import Choice, Description, DescriptionKind, ListItem
from service.errors import FetchFailed, fetch_failure
from service.fetching import Fetched, FetchedFile, FetchRequest, Identified, Listed
from service.media_url import MediaUrl
from service.model import Phase, Progress, Validators
from service.selection import MediaType, Selection
from service.watched import Found, ItemKind

_log = logging.getLogger("magpie.scraper")


def identified(message: Mapping[str, Any]) -> Identified:
    return Identified(
        extractor=message["extractor"],
        id=message["id"],
        title=message["title"],
        artist=message["artist"],
        duration=_length(message["duration"]),
        size=message["size"],
        is_generic=message["is_generic"],
    )


def progress(message: Mapping[str, Any]) -> Progress:
    return Progress(
        phase=Phase(message["phase"]),
        downloaded=message.get("downloaded"),
        total=message.get("total"),
        speed=message.get("speed"),
        eta=message.get("eta"),
    )


def fetched(request: FetchRequest, answer: Mapping[str, Any]) -> Fetched | None:
    """None for a stopped one. Raises what the worker says."""
    if answer["event"] == "stopped":
        return None
    if answer["event"] != "done":
        raise failure(answer)
    said = answer["validators"]
    return Fetched(
        files=files(request.directory, answer["files"]),
        title=answer["title"],
        artist=answer["artist"],
        validators=None if said is None else Validators(**said),
    )


def files(directory: Path, said: list[dict[str, Any]]) -> tuple[FetchedFile, ...]:
    return tuple(
        FetchedFile(
            path=directory / Path(file["name"]).name,
            kind=MediaType(file["kind"]),
            extension=file["extension"],
            size=file["size"],
            sha256=file["sha256"],
            duration=_length(file["duration"]),
            width=file["width"],
            height=file["height"],
        )
        for file in said
    )


def described(answer: Mapping[str, Any]) -> Description:
    """Raises what the worker says."""
    if answer["event"] != "described":
        raise failure(answer)
    return Description(
        kind=DescriptionKind(answer["kind"]),
        extractor=answer["extractor"],
        id=answer["id"],
        is_generic=answer["is_generic"],
        title=answer["title"],
        artist=answer["artist"],
        duration=_length(answer.get("duration")),
        picture=picture(answer),
        choices=tuple(_choice(choice) for choice in answer.get("choices", ())),
        languages=tuple(answer.get("languages", ())),
        items=tuple(_item(item) for item in answer.get("items", ())),
        count=answer.get("count"),
    )


def found(item: Mapping[str, Any]) -> Found:
    return Found(
        extractor=item["extractor"],
        id=item["id"],
        url=MediaUrl.parse(item["url"]),
        title=item["title"],
        duration=_length(item["duration"]),
        at=None if item["at"] is None else datetime.fromtimestamp(item["at"], UTC),
        kind=ItemKind(item["kind"]),
    )


def listed(answer: Mapping[str, Any]) -> Listed:
    """Raises what the worker says."""
    if answer["event"] != "listed":
        raise failure(answer)
    return Listed(title=answer["title"], count=answer["count"], is_medium=answer["is_medium"])


def picture(answer: Mapping[str, Any]) -> bytes | None:
    return base64.b64decode(answer["picture"]) if answer.get("picture") else None


def failure(answer: Mapping[str, Any]) -> FetchFailed:
    _log.info("fetch failed: %s (%s)", answer.get("code"), answer.get("detail"))
    return fetch_failure(str(answer.get("code")))


def _choice(choice: Mapping[str, Any]) -> Choice:
    return Choice(
        selection=Selection.from_key(choice["selection"]), size=choice["size"], is_estimate=choice["is_estimate"], height=choice["height"]
    )


def _item(item: Mapping[str, Any]) -> ListItem:
    return ListItem(url=MediaUrl.parse(item["url"]), title=item["title"], duration=_length(item["duration"]))


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=float(seconds))
