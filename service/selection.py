"""What is wanted of a medium: its type, format and quality, and the part of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from service.errors import InvalidSelection


class MediaType(StrEnum):
    """What is wanted of a medium."""

    AUDIO = "audio"
    VIDEO = "video"
    TRANSCRIPT = "transcript"
    PICTURE = "picture"
    """All pictures of a post, as they are."""
    DOCUMENT = "document"
    """Any other file, as somebody forwarded it: it is kept, but cannot be ordered."""

    @property
    def folder(self) -> str:
        """Name of the folder below a job's."""
        return f"{self.value}s" if self in {MediaType.TRANSCRIPT, MediaType.PICTURE, MediaType.DOCUMENT} else self.value


FORMATS: dict[MediaType, tuple[str, ...]] = {
    MediaType.AUDIO: ("mp3", "wav", "flac", "m4a", "opus"),
    MediaType.VIDEO: ("mp4", "webm", "mkv"),
    MediaType.TRANSCRIPT: ("vtt", "srt", "txt"),
    MediaType.PICTURE: ("original",),
}
QUALITIES: dict[MediaType, tuple[str, ...]] = {
    MediaType.AUDIO: ("best", "worst", "128k", "192k", "320k"),
    MediaType.VIDEO: ("best", "2160", "1440", "1080", "720", "480", "360", "worst"),
    MediaType.TRANSCRIPT: ("best",),
    MediaType.PICTURE: ("best",),
}
"""The first of each is the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A part of a medium, in whole milliseconds from its beginning: `0 <= start < end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise InvalidSelection("clip", "A clip must end after it starts.")

    @property
    def duration(self) -> timedelta:
        return timedelta(milliseconds=self.end - self.start)

    @property
    def key(self) -> str:
        return f"{self.start}-{self.end}"

    @classmethod
    def from_key(cls, key: str) -> Clip:
        """The inverse of `key`."""
        start, _, end = key.partition("-")
        return cls(start=int(start), end=int(end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """All that changes the bytes: media type, format, quality, for transcripts the language, and the clip that is cut out."""

    media_type: MediaType
    format: str
    quality: str
    language: str | None = None
    clip: Clip | None = None

    @classmethod
    def of(
        cls,
        media_type: str | None = None,
        format: str | None = None,  # noqa: A002 - the wire's word
        quality: str | None = None,
        language: str | None = None,
        clip: Clip | None = None,
    ) -> Selection:
        """Fill in the defaults. Raises `InvalidSelection` naming the first wrong field and what is accepted."""
        kind = _one_of("media_type", media_type, tuple(FORMATS))
        known = MediaType(kind)
        return cls(
            media_type=known,
            format=_one_of("format", format, FORMATS[known]),
            quality=_one_of("quality", _without_p(quality), QUALITIES[known]),
            language=language if known is MediaType.TRANSCRIPT else None,
            clip=clip if known in {MediaType.AUDIO, MediaType.VIDEO} else None,
        )

    @property
    def key(self) -> str:
        """The selection as text, for keys."""
        parts = [self.media_type, self.format, self.quality]
        if self.language or self.clip:
            parts.append(self.language or "")
        if self.clip:
            parts.append(self.clip.key)
        return ":".join(parts)

    @classmethod
    @lru_cache(maxsize=1024)
    def from_key(cls, key: str) -> Selection:
        """The inverse of `key`."""
        media_type, form, quality, *more = key.split(":")
        language, clip = [*more, "", ""][:2]
        return cls(
            media_type=MediaType(media_type),
            format=form,
            quality=quality,
            language=language or None,
            clip=Clip.from_key(clip) if clip else None,
        )


def _without_p(quality: str | None) -> str | None:
    return quality[:-1] if quality and quality.endswith("p") and quality[:-1].isdigit() else quality


def _one_of(name: str, value: str | None, accepted: tuple[str, ...]) -> str:
    if value is None:
        return str(accepted[0])
    if value not in accepted:
        raise InvalidSelection(name, f"{name} must be one of: {', '.join(accepted)}")
    return value
