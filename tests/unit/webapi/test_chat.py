from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.health import ServiceState, Stage
from tests.unit.webapi.room import WITH_BUTTONS, FakeRoom, a_message, chat_api, listening
from tests.unit.webapi.test_access_matrix import As
from tests.unit.webapi.toy import Site, served
from webapi.auth import CallerKind
from webapi.chat import MAX_TEXT
from webapi.chat_room import BotActs, ButtonAnswered, MessageGone, MessageShown
from webapi.docs_pages import DocsPages

HANG = 20
"""Seconds: a guard against hanging, never a measure."""
STATIC = Path(__file__).parents[3] / "webapi" / "static" / "chat"
POSTS: dict[str, dict[str, Any]] = {
    "/chat/messages": {"text": "Hello"},
    "/chat/buttons": {"message_id": 7, "data": "a:1"},
    "/chat/posts": {"post": "sample"},
}


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom(messages=[WITH_BUTTONS])


@pytest.fixture
async def site(room: FakeRoom) -> AsyncIterator[Site]:
    state = ServiceState(Stage.READY)
    async with served(chat_api(room, state), state=state) as running:
        yield running


async def post(site: Site, path: str, body: Any, **about: Any) -> tuple[int, Any]:
    async with site.http.post(path, json=body, **about) as got:
        return got.status, await got.json(content_type=None)


# --- the page ---------------------------------------------------------------------------------------------------------


async def test_the_page_may_load_and_run_only_what_is_ours(site: Site) -> None:
    async with site.http.get("/chat") as got:
        assert got.content_type == "text/html"
        policy = dict(part.split(" ", 1) for part in got.headers["Content-Security-Policy"].split("; "))
    assert {policy[name] for name in ("default-src", "base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert {policy[name] for name in ("script-src", "style-src", "media-src", "connect-src")} == {"'self'"}


async def test_all_that_the_page_asks_for_is_served(site: Site) -> None:
    texts = [path.read_text() for path in STATIC.iterdir()]
    asked = {*re.findall(r'"/chat/static/([^"]+)"', "".join(texts)), *re.findall(r'from "\./([^"]+)"', "".join(texts))}
    assert len(asked) > 5
    for name in asked:
        async with site.http.get(f"/chat/static/{name}") as got:
            assert got.status == 200
            assert got.content_type in {"text/css", "text/javascript", "image/svg+xml"}


async def test_every_file_of_the_page_is_served_and_no_other(site: Site) -> None:
    for name in [path.name for path in STATIC.iterdir() if path.suffix != ".html"]:
        async with site.http.get(f"/chat/static/{name}") as got:
            assert (name, got.status) == (name, 200)
    for name in ("chat.html", "..%2Fchat.html", "..%2F..%2Fserver.py", "none.js"):
        async with site.http.get(f"/chat/static/{name}") as got:
            assert (name, got.status) == (name, 404)


def test_the_page_has_no_code_or_style_in_its_markup() -> None:
    page = (STATIC / "chat.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    """The one address of another host is a link to click."""
    texts = "".join(path.read_text() for path in STATIC.iterdir())
    addresses = set(re.findall(r"https?://[\w.-]+", texts)) - {"http://www.w3.org"}  # the name of SVG
    assert addresses == {"https://t.me"}


def test_text_never_becomes_markup() -> None:
    """`innerHTML` is assigned once, from a constant."""
    scripts = "".join(path.read_text() for path in STATIC.glob("*.js"))
    assert re.findall(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b.*", scripts) == [
        'innerHTML = `${REPLY}<span class="hidden">Reply</span>`; // our own text, nobody else\'s'
    ]


async def test_the_page_is_there_while_the_service_starts_so_that_it_can_wait(room: FakeRoom) -> None:
    state = ServiceState(Stage.STARTING)
    async with served(chat_api(room, state), state=state) as site:
        for path, status in (("/chat", 200), ("/chat/static/chat.js", 200), ("/chat/events", 503)):
            async with site.http.get(path) as got:
                assert (path, got.status) == (path, status)


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_nobody_without_local_trust_sees_or_does_anything(room: FakeRoom) -> None:
    state = ServiceState(Stage.READY)
    api = chat_api(room, state)
    async with served(api, state=state, authenticator=As(CallerKind.ANONYMOUS)) as site:
        for endpoint in api.endpoints:
            async with site.http.request(endpoint.method, endpoint.path, json=POSTS.get(endpoint.path)) as got:
                assert (endpoint.path, got.status) == (endpoint.path, 401)
    assert (len(room.messages), room.pressed, room.listeners) == (1, [], [])


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}], ids=str)
@pytest.mark.parametrize("path", POSTS)
async def test_another_site_cannot_speak_for_the_person_at_the_page(site: Site, room: FakeRoom, path: str, headers: dict[str, str]) -> None:
    assert (await post(site, path, POSTS[path], headers=headers))[0] == 401
    assert (len(room.messages), room.pressed) == (1, [])


@pytest.mark.parametrize("path", POSTS)
async def test_a_form_is_refused_as_it_could_come_from_anywhere(site: Site, room: FakeRoom, path: str) -> None:
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        async with site.http.post(path, data=b"{}", headers={"Content-Type": content_type}) as got:
            assert (content_type, got.status) == (content_type, 415)
    async with site.http.post(path) as got:
        assert got.status == 422
    assert (len(room.messages), room.pressed) == (1, [])


# --- saying -----------------------------------------------------------------------------------------------------------


async def test_what_is_said_comes_into_the_room(site: Site, room: FakeRoom) -> None:
    assert await post(site, "/chat/messages", {"text": "  https://example.org <b>\n"}) == (201, {"message_id": 2})
    assert (room.messages[-1].text, room.replies) == ("  https://example.org <b>\n", [None])


async def test_a_reply_names_its_message(site: Site, room: FakeRoom) -> None:
    assert (await post(site, "/chat/messages", {"text": "3-7", "reply_to": 7}))[0] == 201
    assert room.replies == [7]


async def test_a_reply_to_a_message_that_is_not_there_is_refused(site: Site, room: FakeRoom) -> None:
    status, problem = await post(site, "/chat/messages", {"text": "3-7", "reply_to": 10**30})
    assert (status, problem["code"]) == (404, "chat_message_not_found")
    assert room.replies == []


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": " \n\t"}, {"text": "\x1c"}, {"text": "x" * (MAX_TEXT + 1)}, {"text": 1}, {"text": None}, {"text": "a\0b"},
     {"text": "x", "reply_to": True}, {"text": "x", "reply_to": "a"}, []],
    ids=lambda body: repr(body)[:40],
)  # fmt: skip
async def test_a_wrong_message_is_refused(site: Site, room: FakeRoom, body: Any) -> None:
    assert (await post(site, "/chat/messages", body))[0] == 422
    assert room.replies == []


async def test_a_message_may_have_4096_characters(site: Site, room: FakeRoom) -> None:
    assert (await post(site, "/chat/messages", {"text": "ä" * MAX_TEXT}))[0] == 201
    assert len(room.messages[-1].text) == 4096


async def test_a_button_is_pressed(site: Site, room: FakeRoom) -> None:
    async with site.http.post("/chat/buttons", json={"message_id": 7, "data": "a:1"}) as got:
        assert (got.status, await got.read()) == (202, b"")
    assert room.pressed == [(7, "a:1")]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"message_id": 8, "data": "a:1"}, 404, "chat_message_not_found"),
        ({"message_id": 7, "data": "a:2"}, 409, "chat_button_gone"),
        ({"message_id": 7, "data": "x" * 65}, 422, "validation_error"),
        ({"message_id": 7, "data": ""}, 422, "validation_error"),
        ({"data": "a:1"}, 422, "validation_error"),
    ],
)
async def test_a_button_that_is_not_there_is_refused(site: Site, room: FakeRoom, body: Any, status: int, code: str) -> None:
    got, problem = await post(site, "/chat/buttons", body)
    assert (got, problem["code"]) == (status, code)
    assert room.pressed == []


async def test_the_sample_post_is_forwarded(site: Site, room: FakeRoom) -> None:
    assert await post(site, "/chat/posts", {"post": "sample"}) == (201, {"message_id": 2})
    assert room.messages[-1].text == "A post"


# --- files ------------------------------------------------------------------------------------------------------------


async def test_a_video_may_be_played_and_sought_in(site: Site, room: FakeRoom, tmp_path: Path) -> None:
    room.put(tmp_path / "film.mp4", bytes(range(100)))
    async with site.http.get("/chat/files/film") as got:
        assert (got.status, got.content_type, await got.read()) == (200, "video/mp4", bytes(range(100)))
        assert (got.headers["Accept-Ranges"], got.headers["ETag"]) == ("bytes", '"film"')
        assert got.headers["Content-Disposition"].startswith("inline")
    for asked, status, part in (("bytes=10-19", 206, range(10, 20)), ("bytes=-5", 206, range(95, 100)), ("bytes=90-", 206, range(90, 100))):
        async with site.http.get("/chat/files/film", headers={"Range": asked}) as got:
            assert (got.status, await got.read()) == (status, bytes(part))
            assert got.headers["Content-Range"] == f"bytes {part[0]}-{part[-1]}/100"


async def test_conditions_on_a_file_are_kept(site: Site, room: FakeRoom, tmp_path: Path) -> None:
    room.put(tmp_path / "film.mp4", bytes(100))
    for headers, status in (({"Range": "bytes=100-"}, 416), ({"If-None-Match": '"film"'}, 304), ({"If-Match": '"other"'}, 412)):
        async with site.http.get("/chat/files/film", headers=headers) as got:
            assert got.status == status
    async with site.http.head("/chat/files/film") as got:
        assert (got.status, got.headers["Content-Length"]) == (200, "100")


@pytest.mark.parametrize(
    ("name", "mime"), [("page.html", "text/html"), ("picture.svg", "image/svg+xml"), ("file", "text/html"), ("x.js", "")]
)
async def test_a_file_that_a_browser_could_take_for_a_page_is_one_to_keep(
    site: Site, room: FakeRoom, tmp_path: Path, name: str, mime: str
) -> None:
    room.put(tmp_path / name, b"<script>alert(1)</script>", mime)
    async with site.http.get(f"/chat/files/{Path(name).stem}") as got:
        assert (got.status, got.content_type) == (200, "application/octet-stream")
        assert got.headers["Content-Disposition"].startswith("attachment")
        assert got.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert got.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_name_without_an_ending_is_shown_by_its_type_where_that_is_harmless(site: Site, room: FakeRoom, tmp_path: Path) -> None:
    room.put(tmp_path / "voice", b"OggS", "audio/ogg")
    async with site.http.get("/chat/files/voice") as got:
        assert (got.status, got.content_type) == (200, "audio/ogg")


async def test_a_file_that_is_unknown_or_gone_is_not_found(site: Site, room: FakeRoom, tmp_path: Path) -> None:
    room.put(tmp_path / "film.mp4", b"x")
    (tmp_path / "film.mp4").unlink()
    for name in ("film", "other", "..%2F..%2Fetc%2Fpasswd"):
        async with site.http.get(f"/chat/files/{name}") as got:
            assert (got.status, (await got.json(content_type=None))["code"]) == (404, "chat_file_not_found")


# --- events -----------------------------------------------------------------------------------------------------------


async def test_a_page_hears_everything_first_and_then_every_change(site: Site, room: FakeRoom) -> None:
    async with listening(site.http) as page, asyncio.timeout(HANG):
        name, state = await page.next()
        assert (name, [message["id"] for message in state["messages"]]) == ("state", [7])
        assert state["samples"] == [{"label": "A video", "text": "https://example.org/video"}]
        assert state["messages"][0]["buttons"][0][0] == {"text": "720p · 4 MB", "data": "a:1", "url": None}
        room.add(a_message(8, "New\nwith a line"))
        room.tell(MessageGone(message_id=7))
        room.tell(BotActs(action="typing"))
        room.tell(ButtonAnswered(message_id=8, text="Done", alert=True))
        heard = [await page.next() for _ in range(4)]
    assert [name for name, _ in heard] == ["message", "deleted", "action", "answer"]
    assert heard[0][1]["message"]["text"] == "New\nwith a line"
    assert heard[1][1] == {"message_id": 7}
    assert heard[3][1] == {"message_id": 8, "text": "Done", "alert": True, "url": None}


async def test_a_page_that_comes_again_gets_everything_again(site: Site, room: FakeRoom) -> None:
    for wanted in ([7], [7, 8]):
        async with listening(site.http) as page, asyncio.timeout(HANG):
            assert [message["id"] for message in (await page.next())[1]["messages"]] == wanted
        room.messages = [WITH_BUTTONS, a_message(8)]


async def test_a_quiet_stream_shows_that_it_lives(room: FakeRoom) -> None:
    state = ServiceState(Stage.READY)
    async with served(chat_api(room, state, heartbeat=timedelta(milliseconds=5)), state=state) as site, listening(site.http) as page:
        async with asyncio.timeout(HANG):
            assert [(await page.next())[0] for _ in range(3)] == ["state", "comment", "comment"]


async def test_the_stream_ends_when_the_service_stops(site: Site, room: FakeRoom) -> None:
    async with listening(site.http) as page, asyncio.timeout(HANG):
        await page.next()
        site.state.let_go()
        assert await page.next() == ("end", None)
    assert room.listeners == []


async def until_nobody_listens(room: FakeRoom) -> bool:
    async with asyncio.timeout(HANG):
        while room.listeners:
            await asyncio.sleep(0.01)
    return True


async def test_a_page_that_reads_too_slowly_is_cut_off_and_holds_nothing_up(room: FakeRoom) -> None:
    state = ServiceState(Stage.READY)
    async with served(chat_api(room, state, backlog=20), state=state) as site, listening(site.http) as slow:
        await slow.next()
        long = MessageShown(message=a_message(9, "x" * 100_000))
        async with asyncio.timeout(HANG):
            while room.listeners:
                room.tell(long)
                await asyncio.sleep(0)
        assert room.listeners == []


async def test_a_page_that_is_gone_is_forgotten(room: FakeRoom) -> None:
    state = ServiceState(Stage.READY)
    async with served(chat_api(room, state, heartbeat=timedelta(milliseconds=5)), state=state) as site:
        async with listening(site.http) as page:
            await page.next()
            assert len(room.listeners) == 1
        assert await until_nobody_listens(room)


# --- the document -----------------------------------------------------------------------------------------------------


async def test_generated_requests_get_what_the_document_promises(room: FakeRoom, tmp_path: Path) -> None:
    state = ServiceState(Stage.READY)
    api = chat_api(room, state)
    DocsPages(api).register()
    async with served(api, state=state) as site:
        run = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{site.url}/openapi.json", "--include-path-regex", "^/chat"),
            *("--exclude-path-regex", "events|static", "--mode", "all", "--checks", "all", "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "25", "--seed", "1", "--generation-database", "none", "--generation-allow-x00", "false", "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(120):
            output, _ = await run.communicate()
    assert run.returncode == 0, output.decode()
