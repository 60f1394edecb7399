"""The page in a real browser, with python-telegram-bot at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from telegram import Bot, InlineKeyboardButton, InputMediaPhoto, InputMediaVideo

from magpie.local_chat import USER_ID, LocalChat
from service.health import Stage
from tests.integration.bot_api.conftest import png
from tests.integration.chat.conftest import bot_for
from tests.integration.chat.hall import AT_BOTTOM, Hall, key, keys, medium, opened, pressed
from tests.support.browser import NARROW, OpenPage, a_browser

NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script>"
# One browser for all: it takes seconds to start. Whoever uses it has to be on its event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    async with a_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def chat(tmp_path: Path) -> AsyncIterator[LocalChat]:
    chat = LocalChat(tmp_path / "chat")
    await chat.start()
    yield chat
    await chat.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def bot(chat: LocalChat) -> AsyncIterator[Bot]:
    async with bot_for(chat) as bot:
        yield bot


@pytest_asyncio.fixture(loop_scope="module")
async def hall(chat: LocalChat) -> AsyncIterator[Hall]:
    hall = Hall(chat)
    await hall.start()
    yield hall
    await hall.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Any, hall: Hall) -> AsyncIterator[OpenPage]:
    async with opened(browser, hall) as page:
        yield page


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


# --- saying -----------------------------------------------------------------------------------------------------------


async def test_a_newcomer_starts_with_one_press_and_reads_how_to_get_a_token(page: OpenPage, bot: Bot) -> None:
    about = await page.page.locator("#about").inner_text()
    assert "@BotFather" in about
    assert "MAGPIE_BOT_TOKEN=" in about
    await page.page.click("#start")
    await page.see("/start")
    assert await page.page.locator("#welcome").is_hidden()
    (update,) = await bot.get_updates(timeout=5)
    assert update.message
    assert update.message.text == "/start"


async def test_enter_sends_and_shift_enter_makes_a_line(page: OpenPage, chat: LocalChat) -> None:
    await page.page.fill("#text", "one")
    await page.page.press("#text", "Shift+Enter")
    await page.page.keyboard.type("two")
    await page.page.press("#text", "Enter")
    await page.see("one")
    assert chat.history()[-1].text == "one\ntwo"
    assert await page.page.input_value("#text") == ""


async def test_a_sample_is_sent_by_one_press(page: OpenPage, chat: LocalChat) -> None:
    sample = chat.samples[-1]
    await page.page.get_by_role("button", name=sample.label).click()
    await page.see(sample.text)
    assert chat.history()[-1].text == sample.text


async def test_a_reply_quotes_what_it_answers(page: OpenPage, bot: Bot, chat: LocalChat) -> None:
    await page.say("https://a.example")
    await bot.send_message(USER_ID, "A card")
    card = await page.see("A card")
    await card.hover()
    await card.get_by_role("button", name="Reply").click()
    await page.say("3-7")
    reply = await page.see("3-7")
    assert await reply.locator(".quoted").inner_text() == "Magpie\nA card"
    assert await page.page.locator("#replying").is_hidden()


async def test_what_magpie_refuses_is_said_and_not_lost(page: OpenPage, hall: Hall) -> None:
    await hall.server.stop_listening()
    hall.state.move_to(Stage.STARTING)
    await page.page.fill("#text", "important")
    await page.page.press("#text", "Enter")
    await page.page.locator(".toast").wait_for()
    assert await page.page.input_value("#text") == "important"
    page.complaints.clear()


# --- buttons ----------------------------------------------------------------------------------------------------------


async def test_a_press_reaches_the_bot_and_its_answer_is_shown(page: OpenPage, bot: Bot) -> None:
    await page.say("https://a.example")
    rows = keys([key("1080p · 84 MB", "a:1"), key("720p · 41 MB", "a:2")], [InlineKeyboardButton("Site", url="https://a.example/")])
    await bot.send_message(USER_ID, "Choose", reply_markup=rows)
    card = await page.see("Choose")
    assert await card.locator(".keys").all_inner_texts() == ["1080p · 84 MB\n720p · 41 MB", "Site"]
    link = card.get_by_role("link", name="Site")
    assert [await link.get_attribute(name) for name in ("href", "target", "rel")] == ["https://a.example/", "_blank", "noopener noreferrer"]
    await card.get_by_role("button", name="720p").click()
    await card.locator(".key.busy").wait_for()
    query = await pressed(bot)
    await bot.answer_callback_query(query.id, "Here we go.")
    await page.page.locator(".toast", has_text="Here we go.").wait_for()
    assert (query.data, await card.locator(".key.busy").count()) == ("a:2", 0)


async def test_an_alert_wants_to_be_read(page: OpenPage, bot: Bot) -> None:
    await page.say("https://a.example")
    await bot.send_message(USER_ID, "Choose", reply_markup=keys([key("Why?", "w")]))
    await (await page.see("Choose")).get_by_role("button", name="Why?").press("Enter")
    await bot.answer_callback_query((await pressed(bot)).id, NASTY, show_alert=True)
    dialog = page.page.locator("#alert")
    await dialog.wait_for()
    assert NASTY in await dialog.inner_text()
    await page.page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")


# --- what the bot does ------------------------------------------------------------------------------------------------


async def test_edits_deletions_reactions_and_actions_show_in_place(page: OpenPage, bot: Bot) -> None:
    await page.say("https://a.example")
    card = await bot.send_message(USER_ID, "Looking")
    other = await bot.send_message(USER_ID, "Another")
    await bot.edit_message_text("Downloading 55 %", USER_ID, card.message_id, reply_markup=keys([key("Cancel", "c")]))
    await page.see("Downloading 55 %")
    await bot.set_message_reaction(USER_ID, 1, "👀")
    await page.page.locator(".mine .reaction", has_text="👀").wait_for()
    await bot.send_chat_action(USER_ID, "upload_video")
    await page.page.locator("#status", has_text="sending a video").wait_for()
    assert await page.texts() == ["https://a.example", "Downloading 55 %", "Another"]
    await bot.delete_message(USER_ID, other.message_id)
    await page.page.locator("article.message", has_text="Another").wait_for(state="detached")
    assert await page.texts() == ["https://a.example", "Downloading 55 %"]


async def test_a_button_stays_the_same_and_keeps_the_focus_while_the_text_above_it_changes(page: OpenPage, bot: Bot) -> None:
    await page.say("https://a.example")
    rows = keys([key("Cancel", "c")])
    card = await bot.send_message(USER_ID, "Downloading 1 %", reply_markup=rows)
    button = (await page.see("Downloading")).get_by_role("button", name="Cancel")
    await button.evaluate("(button) => { button.mark = 'the same'; button.focus(); }")
    await bot.edit_message_text("Downloading 2 %", USER_ID, card.message_id, reply_markup=rows)
    await page.see("Downloading 2 %")
    assert await button.evaluate("(button) => [button.mark, button === document.activeElement]") == ["the same", True]


async def test_text_is_shown_with_its_entities_and_is_never_markup(page: OpenPage, bot: Bot) -> None:
    await page.say(NASTY)
    text = (
        "😀 <b>bold <i>both</i></b> <code>code</code> <a href='https://a.example/x?a=1&amp;b=2'>link</a> "
        "<tg-spoiler>hidden</tg-spoiler><pre><code class='language-python'>a &lt; b</code></pre><blockquote>said</blockquote>"
    )
    escaped = NASTY.replace("<", "&lt;").replace(">", "&gt;")
    await bot.send_message(USER_ID, f"{text} <b>{escaped}</b>", parse_mode="HTML", reply_markup=keys([key(NASTY, "n")]))
    shown = await page.see("bold")
    found = {
        tag: await shown.locator(f".text {tag}").all_inner_texts()
        for tag in ("strong", "em", "p > code", "a", ".spoiler", "pre", "blockquote")
    }
    assert found == {
        "strong": ["bold both", NASTY], "em": ["both"], "p > code": ["code"], "a": ["link"], ".spoiler": ["hidden"], "pre": ["a < b"],
        "blockquote": ["said"],
    }  # fmt: skip
    assert await shown.locator(".text a").get_attribute("href") == "https://a.example/x?a=1&b=2"
    assert await page.page.locator("article img, article script, article [onerror]").count() == 0


async def test_a_link_to_anything_but_the_web_cannot_be_clicked(page: OpenPage, chat: LocalChat) -> None:
    nasty = ("javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "file:///etc/passwd", "blob:x", "//evil.example", "")
    for number, address in enumerate(nasty):
        link = {"type": "text_link", "offset": 0, "length": 4, "url": address}
        await chat._person().says(f"Link {number}", entities=[link])
    shown = await page.see(f"Link {len(nasty) - 1}")
    assert await page.page.locator("article a").count() == 0
    assert "Link" in await shown.inner_text()


async def test_a_nasty_name_or_title_of_a_file_is_only_text(page: OpenPage, bot: Bot, media: Path) -> None:
    await page.say("/start")
    await bot.send_audio(USER_ID, await medium(media, "media/song.m4a"), title=NASTY, performer=NASTY, filename="song.m4a")
    await bot.send_document(USER_ID, b"x", filename="a <img src=x onerror=alert(1)>.html", caption=NASTY)
    await (await page.see(NASTY)).locator("a.file").wait_for()
    assert await page.page.locator("article img, article script, article [onerror]").count() == 0


async def test_a_command_in_a_text_is_said_by_a_click(page: OpenPage, bot: Bot, chat: LocalChat) -> None:
    await page.say("/start")
    await bot.send_message(USER_ID, "/help tells the rest")
    await (await page.see("tells the rest")).get_by_role("button", name="/help").click()
    await page.page.locator(".mine", has_text="/help").wait_for()
    assert chat.history()[-1].text == "/help"


# --- media ------------------------------------------------------------------------------------------------------------


async def test_a_card_turns_into_a_video_that_plays_and_goes_on_playing_while_the_caption_changes(
    page: OpenPage, bot: Bot, media: Path
) -> None:
    await page.say("https://a.example")
    card = await bot.send_message(USER_ID, "Downloading")
    await page.see("Downloading")
    video = InputMediaVideo(
        await medium(media, "media/clip.mp4"), filename="clip.mp4", width=640, height=360, duration=10, caption="A clip"
    )
    await bot.edit_message_media(video, USER_ID, card.message_id)
    player = (await page.see("A clip")).locator("video")
    assert await page.plays(player)
    await player.evaluate("(player) => { player.mark = 'the same'; return player.play(); }")
    await bot.edit_message_caption(USER_ID, card.message_id, caption="A clip, edited")
    await page.see("A clip, edited")
    assert await player.evaluate("(player) => [player.mark, player.paused]") == ["the same", False]


async def test_audio_plays_and_a_document_is_one_to_save(page: OpenPage, bot: Bot, media: Path) -> None:
    await page.say("/start")
    song = await medium(media, "media/song.m4a")
    await bot.send_audio(USER_ID, song, title="A song", performer="Somebody", duration=10, filename="song.m4a")
    assert await page.plays((await page.see("A song")).locator("audio"))
    await bot.send_document(USER_ID, song, filename="a file.bin", caption="Keep it")
    link = (await page.see("Keep it")).locator("a.file")
    async with page.page.expect_download() as downloading:
        await link.click()
    download = await downloading.value
    assert (download.suggested_filename, Path(await download.path()).read_bytes()) == ("a file.bin", song)


async def test_an_album_is_one_message_whose_pictures_open(page: OpenPage, bot: Bot) -> None:
    await page.say("/start")
    pictures = [InputMediaPhoto(png(60 + n, 40), caption="Three" if n == 0 else None) for n in range(3)]
    await bot.send_media_group(USER_ID, pictures)
    album = await page.see("Three")
    photos = album.locator(".photo img")
    await photos.nth(2).wait_for()
    await page.page.wait_for_function("() => [...document.querySelectorAll('.photo img')].every((one) => one.naturalWidth > 0)")
    assert await photos.count() == 3
    await album.locator(".photo").nth(1).click()
    await page.page.locator("#picture[open]").wait_for()
    await page.page.wait_for_function("() => document.querySelector('#picture-image').naturalWidth === 61")
    await page.page.keyboard.press("Escape")
    assert await page.page.locator("#picture[open]").count() == 0


async def test_the_sample_post_is_forwarded_and_plays(page: OpenPage) -> None:
    await page.page.get_by_role("button", name="Forward a sample post").click()
    post = await page.see("Forwarded from Sample channel")
    assert await page.plays(post.locator("video"))


# --- staying ----------------------------------------------------------------------------------------------------------


async def test_a_reload_keeps_the_conversation(page: OpenPage, bot: Bot) -> None:
    await page.say("https://a.example")
    await bot.send_message(USER_ID, "Done", reply_markup=keys([key("Again", "a")]))
    await page.see("Done")
    before = await page.texts()
    await page.page.reload()
    await page.connected()
    assert await page.texts() == before == ["https://a.example", "Done"]
    assert await page.page.get_by_role("button", name="Again").count() == 1


async def test_the_page_comes_back_by_itself_when_the_service_does(page: OpenPage, bot: Bot, hall: Hall) -> None:
    await page.say("before")
    await page.see("before")
    await hall.stop()
    await page.page.locator("#status", has_text="connecting").wait_for()
    await bot.send_message(USER_ID, "meanwhile")
    async with page.page.expect_response("**/chat/events") as answering:
        await hall.start(Stage.STARTING)
        assert (await answering.value).status == 503
    hall.state.move_to(Stage.READY)
    await page.see("meanwhile")
    assert await page.texts() == ["before", "meanwhile"]
    page.complaints.clear()  # the browser itself complains of connections that are refused


async def test_the_newest_message_stays_in_view_but_who_reads_above_is_left_alone(page: OpenPage, bot: Bot) -> None:
    await page.say("/start")
    for number in range(30):
        await bot.send_message(USER_ID, f"Message {number}\nwith a second line")
    last = await page.see("Message 29")
    await page.page.wait_for_function(AT_BOTTOM)
    assert await last.is_visible()
    await page.page.locator("#scroller").evaluate("(one) => one.scrollTo(0, 0)")
    await page.page.locator("#down").wait_for()
    await bot.send_message(USER_ID, "The newest")
    await page.page.locator("#down.news").wait_for()
    assert await page.page.locator("#scroller").evaluate("(one) => one.scrollTop") == 0
    await page.page.click("#down")
    await page.page.wait_for_function(AT_BOTTOM)


# --- for everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_telephone_and_a_desk_in_light_and_dark(browser: Any, hall: Hall, bot: Bot, chat: LocalChat, scheme: str) -> None:
    await chat.say("https://a.example/" + "x" * 300)
    await bot.send_message(USER_ID, "W" * 400, reply_markup=keys([key("A long button " * 3, str(n)) for n in range(4)]))
    await bot.send_document(USER_ID, b"x", filename="a-very-long-name-" * 8 + ".bin")
    await bot.send_message(USER_ID, f"<pre>{'x' * 300}</pre>", parse_mode="HTML")
    async with opened(browser, hall, color_scheme=scheme) as page:
        await page.see("WWW")
        assert await page.fits()
        await page.page.set_viewport_size(NARROW)
        assert await page.fits()
        await page.page.get_by_role("button", name="About this chat").click()
        assert await page.page.locator("#about", has_text="@BotFather").is_visible()
        ground = await page.page.evaluate("getComputedStyle(document.querySelector('.head')).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") is (scheme == "light")


async def test_it_can_be_used_without_a_mouse_and_without_eyes(page: OpenPage, bot: Bot) -> None:
    await page.say("/start")
    await bot.send_message(USER_ID, "Choose", reply_markup=keys([key("720p", "a")]))
    await page.see("Choose")
    log = page.page.locator("#log")
    assert await log.get_attribute("role") == "log"
    assert await page.page.get_by_label("Message", exact=True).get_attribute("id") == "text"
    nameless = await page.page.evaluate(
        "() => [...document.querySelectorAll('button, a, textarea, video, audio')].filter((one) => one.checkVisibility()"
        " && !(one.innerText || one.ariaLabel || one.labels?.length)).map((one) => one.outerHTML)"
    )
    assert nameless == []
    await page.page.focus("#about-toggle, #scroller")
    seen = set()
    for _ in range(30):
        await page.page.keyboard.press("Tab")
        seen.add(await page.page.evaluate("document.activeElement.innerText || document.activeElement.id"))
    assert {"720p", "Forward a sample post", "text"} <= seen
