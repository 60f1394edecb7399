"""The media store: the same on local disk and S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from obstore.store import S3Store

from storage.media import DiskMedia, S3Media

Store = DiskMedia | S3Media


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def s3_store(address: str) -> S3Store:
    import urllib.request

    bucket = f"bucket-{uuid4()}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/{bucket}", method="PUT")):
        pass
    return S3Store(
        bucket,
        prefix="magpie",
        endpoint=address,
        region="us-east-1",
        access_key_id="x",
        secret_access_key="x",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


@pytest.fixture(params=["disk", "s3"])
def media(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "disk":
        return DiskMedia(tmp_path / "media")
    return S3Media(s3_store(request.getfixturevalue("s3_address")), tmp_path / "work")


async def content(media: Store, location: str, start: int = 0, end: int = 1 << 30) -> bytes:
    return b"".join([chunk async for chunk in media.read(location, start, end)])


def finished(media: Store, body: bytes, job: int = 1) -> Path:
    file = media.work_directory(UUID(int=job)) / "media.mp3"
    file.write_bytes(body)
    return file


async def test_a_finished_file_moves_into_the_store(media: Store) -> None:
    file = finished(media, b"0123456789")
    location = await media.adopt(file, "downloads/s/j/audio/Ünï 😀.mp3")
    assert not file.exists()
    assert await media.exists(location)
    assert await content(media, location, 0, 10) == b"0123456789"
    assert await content(media, location, 2, 5) == b"234"
    assert await content(media, location, 5, 5) == b""


async def test_adopting_again_replaces_the_file(media: Store) -> None:
    await media.adopt(finished(media, b"old"), "a/b.mp3")
    location = await media.adopt(finished(media, b"new"), "a/b.mp3")
    assert await content(media, location, 0, 3) == b"new"


async def test_stored_bytes_can_be_shown_elsewhere_and_outlive_their_first_place(media: Store) -> None:
    location = await media.adopt(finished(media, b"x"), "a/b.mp3")
    await media.show(location, "c/d.mp3")
    await media.show(location, "c/d.mp3")
    if isinstance(media, DiskMedia):
        await media.delete("a/b.mp3")
        assert await content(media, "c/d.mp3", 0, 1) == b"x"


async def test_showing_what_is_gone_says_so(media: Store) -> None:
    with pytest.raises(FileNotFoundError):
        await media.show("a/gone.mp3", "c/d.mp3")
    assert not await media.exists("a/gone.mp3")


async def test_deleting_what_is_gone_is_no_error(media: Store) -> None:
    location = await media.adopt(finished(media, b"x"), "a/b.mp3")
    await media.delete(location)
    await media.delete(location)
    assert not await media.exists(location)


async def test_only_the_named_files_of_a_folder_are_kept(media: Store) -> None:
    for path in ("a/j/audio/1.mp3", "a/j/audio/2.mp3", "a/k/audio/3.mp3"):
        await media.adopt(finished(media, b"x"), path)
    await media.keep_only("a/j", frozenset({"a/j/audio/2.mp3"}))
    assert [await media.exists(path) for path in ("a/j/audio/1.mp3", "a/j/audio/2.mp3", "a/k/audio/3.mp3")] == [False, True, True]
    await media.keep_only("nothing/here", frozenset())


async def test_a_work_directory_is_empty_each_time_and_can_be_discarded(media: Store) -> None:
    finished(media, b"left")
    directory = media.work_directory(UUID(int=1))
    assert list(directory.iterdir()) == []
    assert media.abandoned_work() == [UUID(int=1)]
    media.discard_work(UUID(int=1))
    media.discard_work(UUID(int=1))
    assert media.abandoned_work() == []
    assert media.free_bytes() > 0


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a/\0", ""])
async def test_a_path_outside_the_media_root_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="outside"):
        await DiskMedia(tmp_path).exists(path)


async def test_on_disk_files_are_read_only_and_shared_by_link(tmp_path: Path) -> None:
    media = DiskMedia(tmp_path / "media")
    await media.adopt(finished(media, b"x"), "a/b.mp3")
    await media.show("a/b.mp3", "c/d.mp3")
    paths = [media.local_path(path) for path in ("a/b.mp3", "c/d.mp3")]
    assert paths[0]
    assert paths[1]
    assert paths[0].samefile(paths[1])
    assert paths[0].stat().st_mode & 0o777 == 0o444


async def test_where_links_cannot_be_the_bytes_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = DiskMedia(tmp_path / "media")
    await media.adopt(finished(media, b"x"), "a/b.mp3")

    def no_links(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    await media.show("a/b.mp3", "c/d.mp3")
    copy = media.local_path("c/d.mp3")
    assert copy
    assert copy.read_bytes() == b"x"
    assert copy.stat().st_nlink == 1


async def test_a_folder_that_goes_while_the_store_is_listed_does_not_keep_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = DiskMedia(tmp_path / "media")
    await media.adopt(finished(media, b"x"), "downloads/going/1.mp3")
    await media.adopt(finished(media, b"x"), "downloads/staying/2.mp3")
    going = tmp_path / "media" / "downloads" / "going"
    look_into = os.scandir

    def look_too_late(folder: Any) -> Any:
        if Path(folder) == going:
            media._remove(going / "1.mp3")
        return look_into(folder)

    monkeypatch.setattr(os, "scandir", look_too_late)
    assert [file.path async for file in media.stored()] == ["downloads/staying/2.mp3"]
    assert not going.exists()


async def test_a_file_that_goes_while_the_store_is_listed_does_not_keep_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = DiskMedia(tmp_path / "media")
    await media.adopt(finished(media, b"x"), "downloads/a/going.mp3")
    await media.adopt(finished(media, b"x"), "downloads/a/staying.mp3")
    look_at = Path.lstat

    def look_too_late(file: Path) -> os.stat_result:
        if file.name == "going.mp3":
            media._remove(file)
        return look_at(file)

    monkeypatch.setattr(Path, "lstat", look_too_late)
    assert [file.path async for file in media.stored()] == ["downloads/a/staying.mp3"]
    assert not (tmp_path / "media" / "downloads" / "a" / "going.mp3").exists()


async def test_deleting_the_last_file_removes_the_empty_folders(tmp_path: Path) -> None:
    media = DiskMedia(tmp_path / "media")
    await media.adopt(finished(media, b"x"), "a/b/c.mp3")
    await media.delete("a/b/c.mp3")
    assert not (tmp_path / "media" / "a").exists()
    assert (tmp_path / "media").exists()
