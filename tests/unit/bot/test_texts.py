"""Every language says everything, in markup that Telegram takes."""

from __future__ import annotations

import dataclasses
import string

import pytest

from bot.commands import KNOWN, menus
from bot.languages import LANGUAGES, for_language
from bot.texts import ENGLISH, Texts
from sandbox.bot_api.html import parse_html
from sandbox.bot_api.values import utf16_length
from service.errors import FetchFailed

FIELDS = [field.name for field in dataclasses.fields(Texts) if field.name != "failures"]
ANSWERS = ("gone", "not_yours", "already", "nothing_to_stop", "stopping", "starting", "kept", "choose", "range_chosen", "no_longer_stored")
"""Shown as a notice over the chat: plain text of at most 200 characters."""
BUTTONS = (
    "go_private_button", "subtitles", "cancel", "wait", "try_again", "lower_quality", "other_formats", "start_again", "send_again", "back",
    "range_all", "range_first", "range_last", "pictures_get", "newer", "older", "stop_all", "settings_best", "settings_language_auto",
    "forget_yes", "forget_no",
)  # fmt: skip
OF_THE_CHAT = {"error", "limit_reached", "invalid_url", "file_gone", "not_accepted", "may_be_there", "not_delivered", "chat_gone"}


def codes(root: type[FetchFailed] = FetchFailed) -> set[str]:
    return {root.code}.union(*(codes(kind) for kind in root.__subclasses__()))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def filled(text: str) -> str:
    return text.format(**dict.fromkeys(placeholders(text), "7"))


@pytest.fixture(params=sorted(LANGUAGES))
def texts(request: pytest.FixtureRequest) -> Texts:
    return LANGUAGES[request.param]


def test_there_are_two_languages() -> None:
    assert {"en", "de"} <= set(LANGUAGES)


def test_no_text_is_empty(texts: Texts) -> None:
    assert [name for name in FIELDS if not getattr(texts, name).strip()] == []


def test_every_text_has_the_same_placeholders_as_in_english(texts: Texts) -> None:
    assert [name for name in FIELDS if placeholders(getattr(texts, name)) != placeholders(getattr(ENGLISH, name))] == []


def test_no_text_but_a_name_is_left_in_english(texts: Texts) -> None:
    same = {name for name in FIELDS if getattr(texts, name) == getattr(ENGLISH, name)}
    assert texts is ENGLISH or same <= {"clip", "audio_only", "pictures_get", "of_total", "link_button", "list_done"}


def test_every_text_is_markup_that_telegram_takes(texts: Texts) -> None:
    for name in FIELDS:
        shown, _ = parse_html(filled(getattr(texts, name)))
        assert 0 < utf16_length(shown) <= 4096, name


def test_every_failure_has_a_sentence(texts: Texts) -> None:
    assert (codes() | OF_THE_CHAT) - set(texts.failures) == set()


def test_every_failure_is_one_plain_line(texts: Texts) -> None:
    for code, sentence in texts.failures.items():
        assert parse_html(sentence) == (sentence, []), code
        assert len(sentence) <= 200, code
        assert sentence.endswith("."), code
        assert "\n" not in sentence, code


def test_no_language_has_sentences_for_codes_that_the_others_do_not_know(texts: Texts) -> None:
    assert set(texts.failures) == set(ENGLISH.failures)


def test_an_unknown_failure_gets_the_general_sentence(texts: Texts) -> None:
    assert texts.failure("unheard_of") == texts.failure(None) == texts.failures["download_failed"]


def test_what_is_shown_over_the_chat_is_plain_and_short(texts: Texts) -> None:
    for name in ANSWERS:
        said = filled(getattr(texts, name))
        assert parse_html(said) == (said, []), name
        assert len(said) <= 200, name


def test_labels_of_buttons_are_plain_and_short(texts: Texts) -> None:
    for name in BUTTONS:
        label = filled(getattr(texts, name))
        assert parse_html(label) == (label, []), name
        assert len(label) <= 30, name


def test_the_menu_is_what_telegram_takes() -> None:
    for _, commands in menus():
        assert {one.command for one in commands} <= KNOWN
        assert [one for one in commands if not 1 <= len(one.description) <= 256] == []


@pytest.mark.parametrize(("tag", "language"), [("de", "de"), ("de-AT", "de"), ("DE", "de"), ("pt-br", "en"), ("", "en"), (None, "en")])
def test_a_language_is_chosen_by_its_tag(tag: str | None, language: str) -> None:
    assert for_language(tag).language == language
