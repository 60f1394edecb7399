from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from service.media_url import MediaUrl
from service.model import DownloadSession, Job, JobFile, MediaFile, MediaKey, Origin
from service.ports import Media
from service.selection import MediaType, Selection
from service.signed_links import MEDIA, STATUS, SignedLinks
from storage.database import SqlDatabase
from storage.media import DiskMedia
from storage.migrate import upgrade
from storage.vault import MultiFernetVault
from tests.support.fakes import FakeClock
from tests.unit.webapi.toy import Site, served, trusting
from webapi.auth import Authenticator, Identifies
from webapi.contract import Api
from webapi.media import MediaFilesEndpoint, attachment, media_path, media_url_path

FOLDER, JOB, SESSION = UUID(int=7), UUID(int=8), UUID(int=9)
NAME = 'Ünï "{x}" 100% #1? ..\\🎵.mp3'
CONTENT = bytes(range(256)) * 8192
"""2 MiB: more than a socket takes at once."""


class FarMedia(DiskMedia):
    """A store without plain files, as S3 is. `sends` cuts what it gives, `gone` is what it has lost."""

    sends: int | None = None
    gone = False

    def local_path(self, location: str) -> Path | None:
        del location
        return None

    async def exists(self, location: str) -> bool:
        return not self.gone and await super().exists(location)

    async def read(self, location: str, start: int, end: int) -> AsyncIterator[bytes]:
        async for piece in super().read(location, start, end if self.sends is None else start + self.sends):
            yield piece


@dataclass
class Shelf:
    """One stored file, and links to it."""

    database: SqlDatabase
    media: DiskMedia
    links: SignedLinks
    clock: FakeClock

    def api(self, media: Media | None = None) -> Api:
        api = Api(title="", version="")
        MediaFilesEndpoint(database=self.database, media=media or self.media, links=self.links).register(api)
        return api

    def link(self, *, purpose: str = MEDIA, epoch: int = 0, name: str = NAME, ttl: timedelta = timedelta(hours=1)) -> str:
        query = self.links.sign(media_path(FOLDER, JOB, name), purpose=purpose, ttl=ttl, epoch=epoch)
        return media_url_path(FOLDER, JOB, name) + query


PLAIN = media_url_path(FOLDER, JOB, NAME)


@pytest.fixture
async def shelf(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Shelf]:
    url = f"sqlite:///{tmp_path}/magpie.db"
    await upgrade(url)
    database, media = SqlDatabase(url), DiskMedia(tmp_path / "media")
    await _store(database, media, clock)
    yield Shelf(database, media, SignedLinks(MultiFernetVault(["k" * 32]), clock), clock)
    await database.close()


async def _store(database: SqlDatabase, media: DiskMedia, clock: FakeClock) -> None:
    made = media.work_directory(JOB) / "media.mp3"
    made.write_bytes(CONTENT)
    location = await media.adopt(made, "store/1.mp3")
    key, now = MediaKey(scope="public", extractor="site", id="1", selection="audio:mp3:best"), clock.now()
    file = MediaFile(
        key=key,
        kind=MediaType.AUDIO,
        extension="mp3",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        location=location,
        title="T",
        created_at=now,
    )
    session = DownloadSession(id=SESSION, folder=FOLDER, owner_id=None, created_by=Origin.API, created_at=now, last_activity=now)
    job = Job(
        id=JOB,
        download_session_id=SESSION,
        account_id=None,
        origin=Origin.API,
        url=MediaUrl.parse("https://example.com/1"),
        selection=Selection.of("audio"),
        created_at=now,
    )
    async with database.write() as transaction:
        await transaction.download_sessions.add(session)
        await transaction.jobs.add(job)
        stored = await transaction.media_files.replace(key, [file])
        await transaction.media_files.attach([JobFile(job_id=JOB, media=stored[0], name=NAME, path="x/1.mp3", epoch=3)])


@pytest.fixture(params=["disk", "far"])
async def site(request: pytest.FixtureRequest, shelf: Shelf, tmp_path: Path) -> AsyncIterator[Site]:
    """Called by local trust, on each kind of store."""
    media = shelf.media if request.param == "disk" else FarMedia(tmp_path / "media")
    async with served(shelf.api(media)) as running:
        yield running


def anonymous() -> Identifies:
    return Authenticator(trust=None)


async def get(site: Site, path: str, **headers: str) -> tuple[int, bytes, Any]:
    async with site.http.get(_encoded(path), headers={name.replace("_", "-"): value for name, value in headers.items()}) as got:
        return got.status, await got.read(), got.headers


def _encoded(path: str) -> Any:
    from yarl import URL

    return URL(path, encoded=True)


# --- what is sent -------------------------------------------------------------------------------------------------------


async def test_a_file_comes_whole_and_with_all_that_keeps_it_a_file(site: Site) -> None:
    status, body, headers = await get(site, PLAIN)
    assert status == 200
    assert body == CONTENT
    assert headers["Content-Type"] == "audio/mpeg"
    assert headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Cache-Control"] == "private"
    assert headers["Content-Disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, len(CONTENT)), ("bytes=-5", len(CONTENT) - 5, len(CONTENT)), ("bytes=5-5", 5, 6)],
)
async def test_a_range_comes_as_it_was_asked_for(site: Site, asked: str, start: int, end: int) -> None:
    status, body, headers = await get(site, PLAIN, Range=asked)
    assert (status, headers["Content-Range"]) == (206, f"bytes {start}-{end - 1}/{len(CONTENT)}")
    assert body == CONTENT[start:end]


async def test_the_tag_works_in_conditions(site: Site) -> None:
    tag = (await get(site, PLAIN))[2]["ETag"]
    assert (await get(site, PLAIN, If_None_Match=tag))[:2] == (304, b"")
    assert (await get(site, PLAIN, If_None_Match='"other"'))[0] == 200
    assert (await get(site, PLAIN, If_Range=tag, Range="bytes=0-0"))[:2] == (206, CONTENT[:1])
    assert (await get(site, PLAIN, If_Range='"other"', Range="bytes=0-0"))[:2] == (200, CONTENT)
    assert (await get(site, PLAIN, If_Match='"other"'))[0] == 412


async def test_a_range_beyond_the_end_says_how_long_the_file_is(site: Site) -> None:
    status, _, headers = await get(site, PLAIN, Range=f"bytes={len(CONTENT)}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


async def test_head_tells_the_size_and_sends_nothing(site: Site) -> None:
    async with site.http.head(_encoded(PLAIN)) as got:
        assert (got.status, got.headers["Content-Length"], await got.read()) == (200, str(len(CONTENT)), b"")
    assert (await get(site, PLAIN, Range="bytes=0-0"))[0] == 206, "the connection is still good"


async def test_a_name_in_full_and_one_in_ascii() -> None:
    name = 'Ünï "a"\\%41.mp3'
    expected = "attachment; filename=\"_n_ _a___41.mp3\"; filename*=UTF-8''%C3%9Cn%C3%AF%20%22a%22%5C%2541.mp3"
    assert attachment(name) == expected
    assert "\n" not in attachment("a\r\nSet-Cookie: x")


async def test_an_extension_that_is_not_ours_is_bytes(shelf: Shelf) -> None:
    from dataclasses import replace

    async with shelf.database.write() as transaction:
        (file,) = await transaction.media_files.of_job(JOB)
        (page,) = await transaction.media_files.replace(
            replace(file.media.key, id="2"), [replace(file.media, key=replace(file.media.key, id="2"), extension="html")]
        )
        await transaction.media_files.attach([replace(file, media=page, name="page.html")])
    async with served(shelf.api()) as site:
        assert (await get(site, media_url_path(FOLDER, JOB, "page.html")))[2]["Content-Type"] == "application/octet-stream"


# --- who gets it ----------------------------------------------------------------------------------------------------------


async def test_a_signed_link_opens_the_file_for_anybody_until_it_expires(shelf: Shelf) -> None:
    link = shelf.link(epoch=3)
    async with served(shelf.api(), authenticator=anonymous()) as site:
        assert (await get(site, link))[:2] == (200, CONTENT)
        assert (await get(site, link.replace("?", "/?")))[0] == 200
        shelf.clock.move(timedelta(hours=1, seconds=1))
        status, body, _ = await get(site, link)
        assert status == 403
        assert b"link_expired" in body


async def test_without_a_signature_an_anonymous_caller_gets_nothing(shelf: Shelf) -> None:
    async with served(shelf.api(), authenticator=anonymous()) as site:
        status, _, headers = await get(site, PLAIN)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_wrong_signature_is_refused_even_from_whom_none_is_needed(shelf: Shelf, trusted: bool) -> None:  # noqa: FBT001 - a table
    good = shelf.link(epoch=3)
    wrong = [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        shelf.link(epoch=2),
        shelf.link(epoch=3, purpose=STATUS),
        good.replace("?e=", "?e=9"),
        PLAIN + "?" + shelf.link(epoch=3, name="other.mp3").partition("?")[2],
        f"{PLAIN}?e=1",
        f"{PLAIN}?s=x",
        f"{PLAIN}?e=&s=",
        f"{PLAIN}?e={'9' * 5000}&s=x",
    ]
    async with served(shelf.api(), authenticator=trusting() if trusted else anonymous()) as site:
        for link in wrong:
            status, body, _ = await get(site, link)
            assert (status, b"link_invalid" in body) == (403, True), link


async def test_a_wrong_signature_does_not_tell_whether_there_is_such_a_file(shelf: Shelf) -> None:
    async with served(shelf.api(), authenticator=anonymous()) as site:
        nowhere = media_url_path(UUID(int=1), UUID(int=2), "none.mp3")
        assert (await get(site, f"{nowhere}?e=9999999999&s=x"))[0] == 403
        assert (await get(site, shelf.link(name="none.mp3")))[0] == 404


# --- what is not there ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        media_url_path(FOLDER, JOB, "other.mp3"),
        media_url_path(FOLDER, FOLDER, NAME),
        media_url_path(JOB, JOB, NAME),
        media_url_path(FOLDER, JOB, "..%2F..%2Fmagpie.db"),
        f"/media/downloads/{FOLDER}/{JOB}/..%2F..%2F..%2Fmagpie.db",
        f"/media/downloads/{FOLDER}/{JOB}/%2e%2e%2fmagpie.db",
        f"/media/downloads/..%2F..%2Fx/{JOB}/magpie.db",
        f"/media/downloads/{FOLDER}/{JOB}/%2Fetc%2Fpasswd",
        f"/media/downloads/{FOLDER}/{JOB}/%FF",
        f"/media/downloads/{FOLDER}/{JOB}/%00",
        f"/media/downloads/{FOLDER}/{JOB}/" + "a" * 4000,
        media_url_path(FOLDER.hex, JOB, NAME),
        "/media/downloads/a/b/c",
        "/media/downloads/",
        "/media/../magpie.db",
    ],
)
async def test_what_the_database_does_not_know_is_not_found(site: Site, path: str) -> None:
    raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    assert (await site.send(raw))[0] == 404


async def test_a_file_that_is_gone_from_the_disk_is_not_found(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    async with served(shelf.api()) as site:
        await shelf.media.delete("store/1.mp3")
        status, body, _ = await get(site, PLAIN)
        assert (status, b"store" in body) == (404, False)
        assert "cannot be read" in caplog.text


async def test_a_file_that_shrank_is_never_sent_as_if_it_were_whole(shelf: Shelf) -> None:
    async with served(shelf.api()) as site:
        path = shelf.media.local_path("store/1.mp3")
        assert path is not None
        path.chmod(0o600)
        path.write_bytes(CONTENT[:-1])
        assert (await get(site, PLAIN))[0] == 404


async def test_an_object_that_is_gone_from_the_store_is_not_found(shelf: Shelf, tmp_path: Path) -> None:
    far = FarMedia(tmp_path / "media")
    far.gone = True
    async with served(shelf.api(far)) as site:
        assert (await get(site, PLAIN))[0] == 404


async def test_a_store_that_ends_early_breaks_the_answer_off(shelf: Shelf, tmp_path: Path) -> None:
    far = FarMedia(tmp_path / "media")
    far.sends = 1000
    async with served(shelf.api(far)) as site:
        with pytest.raises(aiohttp.ClientPayloadError):
            await get(site, PLAIN)
