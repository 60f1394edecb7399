"""`magpie demo` as a newcomer meets it: the real bot, real downloads, a real browser, and nothing of the network."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.support.browser import OpenPage, a_browser, an_open_page, chromium
from tests.support.running import HANG, MAGPIE, Running, eventually

NASTY = "<img src=x onerror=alert(1)>"
SIZES = re.compile(r"^\S* ?(\d+p|MP3|M4A) · (≈ )?[\d.]+ (KB|MB)$")

pytestmark = pytest.mark.asyncio(loop_scope="module")


class RunningDemo(Running):
    """`magpie demo` as a process."""

    def start(self) -> None:
        self._log = self.log_file.open("ab")
        self._process = subprocess.Popen(
            [str(MAGPIE), "demo"], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        eventually(self._is_ready, f"{self.url} is ready", within=2 * HANG)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    chromium()
    with RunningDemo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    async with a_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(demo: RunningDemo, browser: Any) -> AsyncIterator[OpenPage]:
    """The conversation goes on from test to test: each looks only at what it began."""
    async with an_open_page(browser, demo.url) as page:
        yield page
        assert page.complaints == []


async def offered(page: OpenPage, sample: str) -> Any:
    """The card that answers a sample."""
    before = await page.page.locator("article.message").count()
    await page.page.get_by_role("button", name=sample, exact=True).click()
    await page.page.wait_for_function(f"() => document.querySelectorAll('article.message').length > {before + 1}")
    card = page.page.locator(f"#{await page.page.locator('article.message:not(.mine)').last.get_attribute('id')}")
    await card.locator(".key").first.wait_for()
    return card


async def test_a_link_becomes_a_card_with_sizes_at_once_and_eyes_on_the_link(page: OpenPage) -> None:
    card = await offered(page, "A video")
    await card.get_by_role("button", name="1080p").wait_for()
    labels = await card.locator(".key").all_inner_texts()
    assert len([label for label in labels if SIZES.match(label)]) >= 5, labels
    assert await card.locator(".photo img").evaluate("(picture) => picture.decode().then(() => picture.naturalWidth > 0)")
    await page.page.locator(".mine", has_text="watch?v=").last.locator(".reaction", has_text="👀").wait_for()


async def test_a_choice_turns_the_card_itself_into_a_video_that_plays(page: OpenPage) -> None:
    card = await offered(page, "… its short link")
    await card.get_by_role("button", name="720p").click()
    player = card.locator("video")
    await player.wait_for()
    assert await page.plays(player)
    assert await player.evaluate("(player) => player.videoHeight") == 720


async def test_what_is_stored_comes_back_at_once_whatever_the_spelling_and_can_be_had_as_music(page: OpenPage) -> None:
    card = await offered(page, "… as a Short")
    await card.locator("video").wait_for()
    await card.get_by_role("button", name="Other formats").click()
    await page.page.get_by_role("button", name="MP3").last.click()
    player = page.page.locator("audio").last
    await player.wait_for()
    assert await page.plays(player)


async def test_a_clip_has_only_the_part_that_was_asked_for(page: OpenPage) -> None:
    card = await offered(page, "Four seconds of it")
    await card.get_by_role("button", name="480p").click()
    player = card.locator("video")
    await player.wait_for()
    assert await page.plays(player)
    assert 3 < await player.evaluate("(player) => player.duration") < 5


async def test_a_range_of_a_playlist_is_chosen_by_a_reply(page: OpenPage) -> None:
    card = await offered(page, "A playlist")
    await card.hover()
    await card.get_by_role("button", name="Reply").click()
    await page.say("2-3")
    await card.get_by_text("2–3").wait_for()  # noqa: RUF001 - as it is written there
    assert "5 items" in await card.inner_text()


@pytest.mark.skipif(importlib.util.find_spec("gallery_dl") is None, reason="gallery-dl is not installed")
async def test_a_post_of_pictures_comes_as_an_album(page: OpenPage) -> None:
    card = await offered(page, "A post of pictures")
    await card.get_by_role("button", name="Album").click()
    album = page.page.locator(".album[data-count='4']")
    await album.wait_for()
    assert await album.locator("img").evaluate_all("(all) => Promise.all(all.map((one) => one.decode())).then(() => all.length)") == 4


async def test_a_failure_is_one_plain_sentence(page: OpenPage) -> None:
    await page.page.get_by_role("button", name="A private video").click()
    assert "Traceback" not in await (await page.see("This video is private.")).inner_text()


async def test_the_media_of_a_forwarded_post_are_kept(page: OpenPage, demo: RunningDemo) -> None:
    await page.page.get_by_role("button", name="Forward a sample post").click()
    assert await page.plays((await page.see("Forwarded from Sample channel")).locator("video"))
    await page.see("From Sample channel")
    await page.page.locator("article.message:not(.mine)", has_text="Saved").wait_for()
    assert any(path.suffix == ".mp4" for path in demo.stored())


async def test_a_title_that_is_markup_stays_text(page: OpenPage) -> None:
    stream = await page.page.get_by_role("button", name="A stream (HLS)").get_attribute("title")
    await page.say(f"{stream.rpartition('/hls')[0]}/page/title?t={quote(NASTY)}")
    await page.page.locator("article.message:not(.mine)", has_text=NASTY).first.wait_for()
    assert await page.page.locator("article [onerror], article script").count() == 0


async def test_after_kill_9_the_page_comes_back_by_itself_and_so_does_the_conversation(page: OpenPage, demo: RunningDemo) -> None:
    await page.say("/status")
    await page.see("/status")
    before = await page.texts()
    demo.kill()
    await page.page.locator("#status", has_text="connecting").wait_for()
    await asyncio.to_thread(demo.start)
    await page.page.wait_for_selector("body.connected")
    after = await page.texts()
    assert after[: len(before) - 1] == before[:-1]
    await page.page.reload()
    await page.connected()
    assert (await page.texts())[: len(before) - 1] == before[:-1]
    assert await page.plays(page.page.locator("video").first)
    page.complaints.clear()  # the browser itself complains of connections that were refused


async def test_it_says_in_one_line_where_to_look(demo: RunningDemo) -> None:
    assert f"{demo.url}/chat" in demo.log_text()
