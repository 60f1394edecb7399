"""A medium of a request: uploaded or named by its file id, measured and described."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path

from sandbox.bot_api import pictures
from sandbox.bot_api.arguments import Arguments, Upload
from sandbox.bot_api.errors import bad_request, too_large
from sandbox.bot_api.files import THUMBNAIL, Files, StoredFile
from sandbox.bot_api.values import Json

MB = 1024 * 1024
_PHOTO_LIMIT = 10 * MB
_PHOTO_SIDES, _PHOTO_RATIO = 10_000, 20
_THUMBNAIL_LIMIT, _THUMBNAIL_SIDE = 200 * 1024, 320
_UNKNOWN_SIDE = 320
_NUMBERS = ("width", "height", "duration", "length")
_SAID = ("title", "performer", "supports_streaming", "has_spoiler", "start_timestamp", "emoji")


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredThumbnail:
    """A thumbnail that Telegram leaves out without a word, and why it did."""

    kind: str
    reason: str


class Media:
    """Turns uploads into stored files as Telegram would; `max_upload` is in bytes."""

    def __init__(self, *, files: Files, max_upload: int) -> None:
        self.ignored_thumbnails: list[IgnoredThumbnail] = []
        self._files, self._max_upload = files, max_upload

    def read(self, arguments: Arguments, *, kind: str, field: str) -> StoredFile:
        """The medium in this argument. Raises `Refused`."""
        upload = arguments.file(field)
        if upload is None:
            named = arguments.text(field)
            if not named or named.startswith("attach://"):
                raise bad_request(f"there is no {kind.replace('_', ' ')} in the request")
            self._note_thumbnail_of_known_file(arguments, kind)
            return self._files.find_as(named, kind)
        if upload.size > self._max_upload:
            raise too_large()
        if upload.size == 0:
            raise bad_request("file must be non-empty")
        said = {name: arguments.whole(name) for name in _NUMBERS if arguments.has(name)}
        said |= {name: arguments.given[name] for name in _SAID if arguments.has(name)}
        if kind == "photo":
            self._check_photo(upload)
        stored = self._files.add(
            upload.path,
            kind=kind,
            name=upload.name,
            facts=facts_of(upload.path, kind, name=upload.name, mime=upload.mime, said=said),
            said=said,
            thumbnail=self._thumbnail(arguments, kind),
            cover=self._cover(arguments) if kind == "video" else None,
        )
        upload.taken = True
        return stored

    def _check_photo(self, upload: Upload) -> None:
        if upload.size > _PHOTO_LIMIT:
            raise bad_request(f"file of size {upload.size} bytes is too big for a photo; the maximum size is {_PHOTO_LIMIT} bytes")
        size = pictures.picture_size(upload.path)
        if size is None:
            raise bad_request("IMAGE_PROCESS_FAILED")
        if sum(size) > _PHOTO_SIDES or max(size) > _PHOTO_RATIO * min(size):
            raise bad_request("PHOTO_INVALID_DIMENSIONS")

    def _thumbnail(self, arguments: Arguments, kind: str) -> StoredFile | None:
        upload = arguments.file(THUMBNAIL)
        if upload is None:
            if arguments.has(THUMBNAIL):
                self.ignored_thumbnails.append(IgnoredThumbnail(kind=kind, reason="it was not uploaded with the file"))
            return None
        reason = _wrong_thumbnail(upload, kind)
        if reason is not None:
            self.ignored_thumbnails.append(IgnoredThumbnail(kind=kind, reason=reason))
            return None
        upload.taken = True
        return self._picture(upload.path, THUMBNAIL)

    def _cover(self, arguments: Arguments) -> StoredFile | None:
        upload = arguments.file("cover")
        if upload is None:
            return self._files.find_as(arguments.text("cover"), "photo") if arguments.has("cover") else None
        self._check_photo(upload)
        upload.taken = True
        return self._picture(upload.path, "photo")

    def _picture(self, path: Path, kind: str) -> StoredFile:
        width, height = pictures.picture_size(path) or (_UNKNOWN_SIDE, _UNKNOWN_SIDE)
        return self._files.add(path, kind=kind, name="picture.jpg", facts={"width": width, "height": height})

    def _note_thumbnail_of_known_file(self, arguments: Arguments, kind: str) -> None:
        if arguments.has(THUMBNAIL) or arguments.file(THUMBNAIL) is not None:
            self.ignored_thumbnails.append(IgnoredThumbnail(kind=kind, reason="the file itself was not uploaded"))


def _wrong_thumbnail(upload: Upload, kind: str) -> str | None:
    if kind in {"photo", "voice", "sticker"}:
        return f"a {kind} has none"
    if upload.size > _THUMBNAIL_LIMIT:
        return f"{upload.size} bytes are more than {_THUMBNAIL_LIMIT}"
    if not pictures.is_jpeg(upload.path):
        return "it is no JPEG"
    size = pictures.picture_size(upload.path)
    if size is None or max(size) > _THUMBNAIL_SIDE:
        return f"it is larger than {_THUMBNAIL_SIDE} pixels"
    return None


def facts_of(path: Path, kind: str, *, name: str, mime: str, said: Json) -> Json:
    """What the Bot API tells of such a file. Telegram looks into small files only; here all is as the sender said, or unknown."""
    mime = mime or mimetypes.guess_type(name)[0] or "application/octet-stream"
    named = {"file_name": name, "mime_type": mime} if name else {"mime_type": mime}
    duration = {"duration": int(said.get("duration") or 0)}
    sides = {"width": int(said.get("width") or _UNKNOWN_SIDE), "height": int(said.get("height") or _UNKNOWN_SIDE)}
    match kind:
        case "photo" | "sticker":
            width, height = pictures.picture_size(path) or (_UNKNOWN_SIDE, _UNKNOWN_SIDE)
            size: Json = {"width": width, "height": height}
            return size if kind == "photo" else {**size, "type": "regular", "is_animated": False, "is_video": mime == "video/webm"}
        case "audio":
            return duration | {key: said[key] for key in ("title", "performer") if said.get(key)} | named
        case "video" | "animation":
            return sides | duration | named
        case "voice":
            return {**duration, "mime_type": mime}
        case "video_note":
            return {"length": int(said.get("length") or _UNKNOWN_SIDE), **duration}
    return named
