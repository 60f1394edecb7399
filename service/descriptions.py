"""What an address leads to, told before anything is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from service.media_url import MediaUrl
from service.selection import Selection


class DescriptionKind(StrEnum):
    """What there is at an address."""

    MEDIUM = "medium"
    LIST = "list"
    """A playlist, a channel, or a page with several media."""
    PICTURES = "pictures"
    """A post of pictures, or a slideshow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to have a medium. `size` in bytes; None when it cannot be known beforehand."""

    selection: Selection
    size: int | None = None
    is_estimate: bool = False
    height: int | None = None
    """Of the picture, in pixels; None for sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListItem:
    """One medium of a list. `url` alone is enough to fetch it."""

    url: MediaUrl
    title: str | None = None
    duration: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is known of an address. `choices` from the best picture down, then sound; none for lists and pictures."""

    kind: DescriptionKind
    extractor: str
    id: str
    """Unique within `extractor`, as in `Identified`."""
    is_generic: bool = False
    title: str
    artist: str | None = None
    """Channel, uploader or artist."""
    duration: timedelta | None = None
    picture: bytes | None = None
    """JPEG, at most 640 pixels a side and 150 KB."""
    choices: tuple[Choice, ...] = ()
    languages: tuple[str, ...] = ()
    """Of the subtitles: those made by people first."""
    items: tuple[ListItem, ...] = ()
    """At most as many as one order may take."""
    count: int | None = None
    """How many items or pictures there are; may be more than `items` holds."""
