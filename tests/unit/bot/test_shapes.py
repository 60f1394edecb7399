"""As what a file goes to Telegram, and which files go together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Animation, Audio, Chat, Document, Message, PhotoSize, Video

from bot.shapes import PHOTO_LIMIT, Attachment, Shape, copy_in, how_many_together, shape_of
from service.chat import TelegramCopy
from service.model import JobFile, MediaFile, MediaKey
from service.selection import MediaType

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def file(kind: MediaType, extension: str, **more: Any) -> JobFile:
    about = {"size": 1000, "title": "T" * 300, "artist": "A" * 300, "duration": timedelta(seconds=206), **more}
    key = MediaKey(scope="public", extractor="site", id="1", selection="x")
    media = MediaFile(id=9, key=key, kind=kind, extension=extension, sha256="0" * 64, location="l", created_at=NOW, **about)
    return JobFile(job_id=UUID(int=1), media=media, name=f"n.{extension}", path="p")


@pytest.mark.parametrize(
    ("kind", "extension", "more", "shape"),
    [
        (MediaType.VIDEO, "mp4", {}, Shape.VIDEO),
        (MediaType.VIDEO, "MP4", {}, Shape.VIDEO),
        (MediaType.VIDEO, "webm", {}, Shape.DOCUMENT),
        (MediaType.VIDEO, "mkv", {}, Shape.DOCUMENT),
        (MediaType.AUDIO, "mp3", {}, Shape.AUDIO),
        (MediaType.AUDIO, "m4a", {}, Shape.AUDIO),
        (MediaType.AUDIO, "flac", {}, Shape.DOCUMENT),
        (MediaType.TRANSCRIPT, "srt", {}, Shape.DOCUMENT),
        (MediaType.DOCUMENT, "mp4", {}, Shape.DOCUMENT),
        (MediaType.PICTURE, "jpg", {}, Shape.PHOTO),
        (MediaType.PICTURE, "png", {"width": 5000, "height": 5000}, Shape.PHOTO),
        (MediaType.PICTURE, "png", {"width": 5001, "height": 5000}, Shape.DOCUMENT),
        (MediaType.PICTURE, "png", {"width": 2000, "height": 100}, Shape.PHOTO),
        (MediaType.PICTURE, "png", {"width": 2001, "height": 100}, Shape.DOCUMENT),
        (MediaType.PICTURE, "jpg", {"size": PHOTO_LIMIT}, Shape.PHOTO),
        (MediaType.PICTURE, "jpg", {"size": PHOTO_LIMIT + 1}, Shape.DOCUMENT),
        (MediaType.PICTURE, "gif", {}, Shape.DOCUMENT),
        (MediaType.PICTURE, "mp4", {}, Shape.VIDEO),
    ],
)
def test_each_file_has_its_shape(kind: MediaType, extension: str, more: dict[str, Any], shape: Shape) -> None:
    assert shape_of(file(kind, extension, **more)) is shape


def test_a_video_says_what_telegram_would_not_find_out() -> None:
    film = file(MediaType.VIDEO, "mp4", width=1920, height=1080)
    details = Attachment(shape=Shape.VIDEO, file=film).details
    assert {name: details[name] for name in ("width", "height", "duration", "supports_streaming")} == {
        "width": 1920,
        "height": 1080,
        "duration": 206,
        "supports_streaming": True,
    }


def test_titles_of_songs_are_bounded() -> None:
    details = Attachment(shape=Shape.AUDIO, file=file(MediaType.AUDIO, "mp3")).details
    assert (len(details["title"]), len(details["performer"])) == (200, 100)


def test_a_copy_goes_without_a_thumbnail_which_could_not_be_sent_again() -> None:
    song = file(MediaType.AUDIO, "mp3")
    copy = TelegramCopy(media_file_id=9, bot_id=1, kind="audio", file_id="x")
    assert Attachment(shape=Shape.AUDIO, file=song, copy=copy, thumbnail=b"jpeg").details["thumbnail"] is None


# --- what Telegram calls it -------------------------------------------------------------------------------------------


def message(**media: Any) -> Message:
    return Message(message_id=1, date=NOW, chat=Chat(1, "private"), **media)


@pytest.mark.parametrize(
    ("media", "kind", "file_id"),
    [
        ({"video": Video("v", "u", 1, 1, 1)}, "video", "v"),
        ({"audio": Audio("a", "u", 1)}, "audio", "a"),
        ({"document": Document("d", "u")}, "document", "d"),
        ({"photo": [PhotoSize("small", "u", 1, 1), PhotoSize("large", "w", 2, 2)]}, "photo", "large"),
        ({"animation": Animation("n", "u", 1, 1, 1), "document": Document("n", "u")}, "animation", "n"),
    ],
)
def test_what_telegram_made_of_a_file_is_remembered_as_that(media: dict[str, Any], kind: str, file_id: str) -> None:
    film = file(MediaType.VIDEO, "mp4")
    copy = copy_in(film, message(**media), 77)
    assert copy == TelegramCopy(media_file_id=9, bot_id=77, kind=kind, file_id=file_id)
    assert copy is not None
    assert Shape.of_copy(film, copy) == kind, "a silent video that became an animation is sent again as one"


def test_a_message_without_a_file_tells_nothing() -> None:
    assert copy_in(file(MediaType.VIDEO, "mp4"), message(text="x"), 77) is None


# --- albums -----------------------------------------------------------------------------------------------------------

TOGETHER = {Shape.PHOTO: "seen", Shape.VIDEO: "seen", Shape.DOCUMENT: "kept", Shape.AUDIO: "heard"}


@given(shapes=st.lists(st.sampled_from(list(Shape)), min_size=1, max_size=40))
def test_parts_are_what_telegram_takes_and_none_is_left_out(shapes: list[Shape]) -> None:
    rest, parts = shapes, []
    while rest:
        count = how_many_together(rest)
        assert 1 <= count <= 10
        parts.append(rest[:count])
        rest = rest[count:]
    assert [shape for part in parts for shape in part] == shapes
    assert all(len(part) == 1 or len({TOGETHER[shape] for shape in part}) == 1 for part in parts)


@given(count=st.integers(2, 60))
def test_no_picture_is_alone_that_could_stand_in_an_album(count: int) -> None:
    rest, sizes = [Shape.PHOTO] * count, []
    while rest:
        sizes.append(how_many_together(rest))
        rest = rest[sizes[-1] :]
    assert min(sizes) >= 2
    assert len(sizes) == -(-count // 10)
