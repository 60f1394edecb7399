"""A card's looks, in every state and for the longest that may stand in it, are what Telegram takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cards import Situation, View, caption_of, file_keyboard, view_of
from bot.keys import Verb
from bot.languages import LANGUAGES
from bot.texts import ENGLISH
from sandbox.bot_api.html import parse_html
from sandbox.bot_api.values import utf16_length
from service.chat import Card, CardState, Place, Preferences
from service.descriptions import Choice, Description, DescriptionKind, ListItem
from service.media_url import MediaUrl
from service.model import Job, JobStatus, Origin, Phase, Progress
from service.selection import Clip, Selection

NOW = datetime(2026, 11, 21, tzinfo=UTC)
URL = MediaUrl.parse("https://www.example.com/watch?v=1")
MEDIUM = Description(
    kind=DescriptionKind.MEDIUM,
    extractor="site",
    id="1",
    title="A & <b>B</b>",
    artist="Artist",
    duration=timedelta(seconds=206),
    choices=(
        Choice(selection=Selection.of("video", quality="1080"), size=84_000_000, height=1080),
        Choice(selection=Selection.of("video", quality="720"), size=40_000_000, is_estimate=True, height=720),
        Choice(selection=Selection.of("audio", "mp3"), size=5_000_000),
    ),
    languages=("en", "de"),
)


def a_card(**more: Any) -> Card:
    return replace(
        Card(
            id="a" * 12, bot_id=1, account_id=1, place=Place(chat_id=1), request_id=1, url=URL, created_at=NOW, description=MEDIUM,
            state=CardState.OFFERED,
        ),
        **more,
    )  # fmt: skip


def a_job(**more: Any) -> Job:
    job = Job(
        id=UUID(int=1),
        download_session_id=UUID(int=2),
        account_id=1,
        origin=Origin.CHAT,
        url=URL,
        selection=Selection.of("video"),
        created_at=NOW,
    )
    return replace(job, **more)


def now(**more: Any) -> Situation:
    return replace(Situation(texts=ENGLISH, preferences=Preferences(), upload_limit=50 * 10**6), **more)


def plain(view: View) -> str:
    return parse_html(view.text)[0]


def labels(view: View) -> list[str]:
    return [button.text for row in (view.keyboard.inline_keyboard if view.keyboard else ()) for button in row]


def data(view: View) -> list[str]:
    return [str(button.callback_data) for row in (view.keyboard.inline_keyboard if view.keyboard else ()) for button in row]


# --- offers -----------------------------------------------------------------------------------------------------------


def test_an_offer_shows_what_there_is_with_real_sizes() -> None:
    view = view_of(a_card(starts_at=NOW), now())
    assert plain(view) == "A & <b>B</b>\nArtist · 3:26\n\nStarts by itself in a moment: 720p · ≈ 40 MB"
    assert labels(view) == ["1080p · 84 MB", "720p · ≈ 40 MB", "🎧 MP3 · 5.0 MB", "💬 Subtitles", "⏸ Let me choose", "✖ Cancel"]


def test_what_the_asker_has_already_is_marked() -> None:
    assert labels(view_of(a_card(), now(had=frozenset({"video:mp4:720:best", "video:mp4:720"}))))[1] == "✓ 720p · ≈ 40 MB"


def test_a_card_that_does_not_start_by_itself_asks() -> None:
    view = view_of(a_card(), now())
    assert plain(view).endswith("What would you like?")
    assert "⏸ Let me choose" not in labels(view)


def test_a_clips_sizes_are_its_share() -> None:
    view = view_of(a_card(clip=Clip(start=0, end=103_000)), now())
    assert labels(view)[0] == "1080p · ≈ 42 MB"
    assert "✂️ 0:00 \u2013 1:43" in plain(view)
    assert "💬 Subtitles" not in labels(view)


def test_what_has_no_known_size_shows_none() -> None:
    told = replace(MEDIUM, choices=(Choice(selection=Selection.of("video", quality="480"), height=480),), languages=())
    assert labels(view_of(a_card(description=told), now())) == ["480p", "✖ Cancel"]


def test_a_list_offers_ranges_that_it_has() -> None:
    items = tuple(ListItem(url=MediaUrl.parse(f"https://e.com/{n}")) for n in range(12))
    told = Description(kind=DescriptionKind.LIST, extractor="site", id="1", title="L", items=items, count=40)
    view = view_of(a_card(description=told, range_from=3, range_to=7), now())
    assert "more than 12 items" in plain(view)
    assert "Chosen: 3\u20137" in plain(view)
    assert labels(view)[:5] == ["First 5", "First 10", "Last 5", "Last 10", "All 12"]
    assert "card|aaaaaaaaaaaa|r|8-12" in data(view)


def test_a_secret_address_is_no_link() -> None:
    secret = MediaUrl.parse("https://user:pw@example.com/a?token=x")
    view = view_of(a_card(url=secret, state=CardState.LOOKING, description=None), now())
    assert view.text == "example.com\n🔎 Looking …"


# --- under way, and after ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (a_job(), "⏳ In the queue"),
        (a_job(status=JobStatus.PENDING).waiting("x"), "⏳ The same file is being fetched already; you get it too …"),
        (a_job(status=JobStatus.PROCESSING, progress=Progress(phase=Phase.LOOKING)), "🔎 Looking …"),
        (a_job(status=JobStatus.PROCESSING, progress=Progress(phase=Phase.CONVERTING)), "⚙️ Processing …"),
        (a_job(status=JobStatus.PROCESSING, progress=Progress(phase=Phase.STORING)), "📦 Storing …"),
        (a_job(status=JobStatus.PROCESSING, progress=Progress(phase=Phase.BACKING_OFF)), "trying again in a moment …"),
        (a_job(status=JobStatus.PROCESSING, progress=Progress(phase=Phase.DOWNLOADING)), "⬇️ Downloading\n"),
        (
            a_job(
                status=JobStatus.PROCESSING,
                progress=Progress(phase=Phase.DOWNLOADING, downloaded=5 * 10**6, total=10**7, speed=2e6, eta=2.5),
            ),
            "⬇️ Downloading\n▰▰▰▰▰▰▱▱▱▱▱▱ 50 % · 5.0 MB of 10 MB · 2.0 MB/s · 0:02 left",
        ),
        (a_job(status=JobStatus.COMPLETED, progress=Progress(phase=Phase.STORING, downloaded=9, total=9)), "📤 Uploading · 1 KB …"),
    ],
)
def test_each_phase_has_its_line_and_can_be_cancelled(job: Job, line: str) -> None:
    view = view_of(a_card(state=CardState.ORDERED), now(job=job))
    assert line in view.text
    assert labels(view) == ["✖ Cancel"]


def test_the_queue_position_is_told() -> None:
    assert "3 before you" in view_of(a_card(state=CardState.ORDERED), now(job=a_job(), ahead=3)).text


@pytest.mark.parametrize(
    ("code", "label"),
    [("too_large", "⬇ Lower quality"), ("ffmpeg", "🎚 Other formats"), ("may_be_there", "📨 Send again"), ("network", "🔁 Try again")],
)
def test_a_failure_has_one_sentence_one_action_and_a_job_id(code: str, label: str) -> None:
    job = a_job(selection=Selection.of("video", quality="1080"), status=JobStatus.FAILED, error_code=code, error_message="/srv token=x")
    view = view_of(a_card(state=CardState.FAILED, error_code=code), now(job=job))
    assert labels(view) == [label]
    assert f"⚠️ {ENGLISH.failures[code]}\nJob 00000000" in plain(view)
    assert "/srv" not in view.text


def test_there_is_no_lower_quality_than_the_lowest() -> None:
    told = replace(MEDIUM, choices=MEDIUM.choices[:1])
    job = a_job(selection=Selection.of("video", quality="1080"))
    assert labels(view_of(a_card(description=told, state=CardState.FAILED, error_code="too_large"), now(job=job))) == ["🔁 Try again"]


# --- whatever it holds ------------------------------------------------------------------------------------------------

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
words = st.one_of(st.just("💥" * 4000), st.just("<&>\"'" * 800), st.just("x" * 4000), anything)
urls = st.sampled_from([
    URL, MediaUrl.parse(f"https://{'a' * 60}.{'b' * 60}.example.com/{'c' * 3000}?x='\"&<>"), MediaUrl.parse("https://u:p@example.com/?token=1"),
])  # fmt: skip
clips = st.none() | st.just(Clip(start=1, end=99 * 3_600_000))
sizes = st.none() | st.integers(0, 10**13)
lengths = st.none() | st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=400))
qualities = [(form, quality) for form in ("mp4", "webm", "mkv") for quality in ("best", "2160", "360")]
selections = st.sampled_from([Selection.of("video", form, quality) for form, quality in qualities])
choices = st.builds(Choice, selection=selections, size=sizes, is_estimate=st.booleans(), height=st.none() | st.integers(1, 9999))
items = st.builds(ListItem, url=urls, title=st.none() | words)
descriptions = st.builds(
    Description,
    kind=st.sampled_from(DescriptionKind),
    extractor=st.sampled_from(["site", ""]),
    id=st.just("1"),
    title=words,
    artist=st.none() | words,
    duration=lengths,
    choices=st.lists(choices, max_size=12).map(tuple),
    languages=st.lists(st.sampled_from(["en", "zh-Hans", "x" * 35]), max_size=120).map(tuple),
    items=st.lists(items, min_size=1, max_size=3).map(lambda few: tuple(few * 70)),
    count=st.none() | st.integers(0, 10**6),
)
speeds, times = st.none() | st.floats(0, 1e12), st.none() | st.floats(0, 1e7)
progresses = st.builds(Progress, phase=st.sampled_from(Phase), downloaded=sizes, total=sizes, speed=speeds, eta=times)
jobs = st.builds(
    lambda progress, status, title, code: a_job(progress=progress, status=status, title=title, artist=title, error_code=code),
    progresses,
    st.sampled_from(JobStatus),
    st.none() | words,
    st.none() | st.sampled_from(sorted(ENGLISH.failures)),
)
cards = st.builds(
    lambda url, clip, state, told, code, ends: a_card(
        id="-" * 12, url=url, clip=clip, state=CardState.OFFERED if told and state is CardState.LOOKING else state, description=told,
        error_code=code, starts_at=NOW if ends else None, range_to=ends,
    ),
    urls, clips, st.sampled_from([state for state in CardState if state is not CardState.OFFERED]), st.none() | descriptions,
    st.none() | st.sampled_from(sorted(ENGLISH.failures)), st.none() | st.integers(1, 10**5),
)  # fmt: skip
situations = st.builds(
    lambda texts, job, ahead, children, menu: now(texts=texts, job=job, ahead=ahead, children=tuple(children), menu=menu),
    st.sampled_from(list(LANGUAGES.values())),
    st.none() | jobs,
    st.none() | st.integers(0, 10**6),
    st.lists(jobs, max_size=3),
    st.sampled_from(["", Verb.SUBTITLES]),
)


@settings(max_examples=300, deadline=None)
@given(card=cards, situation=situations)
def test_every_look_is_what_telegram_takes(card: Card, situation: Situation) -> None:
    view = view_of(card, situation)
    shown, _ = parse_html(view.text)
    keyboard = view.keyboard.inline_keyboard if view.keyboard else ()
    assert 0 < utf16_length(shown) <= 4096
    assert [one for one in data(view) if not 1 <= len(one.encode()) <= 64] == []
    assert [label for label in labels(view) if not 1 <= len(label) <= 40] == []
    assert [row for row in keyboard if len(row) > 8] == []
    assert len(labels(view)) <= 100


@settings(max_examples=200, deadline=None)
@given(card=cards, job=jobs, length=st.none() | st.just("9999:59:59"), texts=st.sampled_from(list(LANGUAGES.values())))
def test_every_caption_is_what_telegram_takes(card: Card, job: Job, length: str | None, texts: Any) -> None:
    shown, _ = parse_html(caption_of(card, replace(job, url=card.url), length=length))
    assert 0 < utf16_length(shown) <= 1024
    assert [one for one in data(View("", file_keyboard(card, texts))) if len(one.encode()) > 64] == []
