"""`kill -9` in every phase of a link's way through the chat: the file arrives, once, and the old message is brought up to date."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import StartService
from tests.support.running import BotApiProcess, MediaSiteProcess, Running, eventually

ALICE = 1001
SLOW = "throttled/300/media/clip.mp4"  # about three seconds


def files_in(telegram: BotApiProcess) -> list[dict[str, Any]]:
    return [message for message in telegram.api.sent(ALICE) if "video" in message]


def until_sent(telegram: BotApiProcess, words: str) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        return next((m for m in reversed(telegram.api.sent(ALICE)) if words in (m.get("text") or m.get("caption") or "")), None)

    found = telegram.api.until(find, timeout=30)
    assert found is not None
    return found


def the_file(telegram: BotApiProcess) -> dict[str, Any]:
    """The one file, once nothing moves any more."""
    telegram.api.until(lambda: files_in(telegram), timeout=40)
    (file,) = files_in(telegram)
    return file


def until_there_are(telegram: BotApiProcess, count: int) -> None:
    telegram.api.until(lambda: len(files_in(telegram)) == count, timeout=30)


def press_best(telegram: BotApiProcess, card: dict[str, Any]) -> None:
    button = card["reply_markup"]["inline_keyboard"][0][0]
    telegram.api.user(ALICE).presses(card, data=button["callback_data"])


def settled(service: Running) -> None:
    """No card and no delivery is open any more."""
    open_ones = "select (select count(*) from cards where state in ('looking','offered','ordered')) + "
    open_ones += "(select count(*) from deliveries where state in ('waiting','sending','announcing')) as n"
    eventually(lambda: service.rows(open_ones)[0]["n"] == 0, "everything is delivered")


def killed(service: Running) -> None:
    """By `kill -9`, and started again."""
    service.kill()
    service.start()


def test_killed_before_an_update_was_handled_the_link_is_still_answered(
    start: StartService, site: MediaSiteProcess, telegram: BotApiProcess
) -> None:
    service = start(**telegram.settings)
    alice = telegram.api.user(ALICE)
    telegram.api.hold("setMessageReaction")  # the first thing that the handler does
    alice.says(site.url("n/unhandled.mp4"))
    eventually(lambda: telegram.api.calls("setMessageReaction"), "the update is taken")
    written = "select count(*) as n from telegram_updates where body is not null"
    eventually(lambda: service.rows(written)[0]["n"] == 1, "it is written down")
    assert service.rows("select count(*) as n from cards")[0]["n"] == 0
    service.kill()
    telegram.api.release()
    service.start()
    assert "unhandled" in the_file(telegram)["caption"]


def test_killed_while_a_card_counts_down_it_starts_by_itself_after_the_restart(
    start: StartService, site: MediaSiteProcess, telegram: BotApiProcess
) -> None:
    service = start(**telegram.settings)
    telegram.api.user(ALICE).says(site.url("n/countdown.mp4"))
    card = until_sent(telegram, "Starts by itself")
    eventually(lambda: service.rows("select 1 from cards where message_id is not null"), "its message is written down")
    killed(service)
    assert the_file(telegram)["message_id"] == card["message_id"]


def test_killed_while_its_job_waits_in_the_queue_the_file_arrives_on_the_old_message(
    start: StartService, site: MediaSiteProcess, telegram: BotApiProcess
) -> None:
    service = start(**telegram.settings, workers="1")
    ahead = service.accepted(site.url(f"{SLOW}?ahead"), media_type="video")
    service.reached(ahead, "downloading")
    telegram.api.user(ALICE).says(site.url("n/waits.mp4"))
    card = until_sent(telegram, "Starts by itself")
    press_best(telegram, card)
    until_sent(telegram, "In the queue")
    killed(service)
    assert the_file(telegram)["message_id"] == card["message_id"]
    settled(service)
    assert len(files_in(telegram)) == 1


def test_killed_while_it_downloads_the_old_message_goes_on(start: StartService, site: MediaSiteProcess, telegram: BotApiProcess) -> None:
    service = start(**telegram.settings)
    telegram.api.user(ALICE).says(site.url(SLOW))
    card = until_sent(telegram, "Starts by itself")
    press_best(telegram, card)
    until_sent(telegram, "Downloading")
    killed(service)
    assert the_file(telegram)["message_id"] == card["message_id"]
    settled(service)
    assert len(files_in(telegram)) == 1


def test_killed_while_it_converts_the_file_arrives_once(start: StartService, site: MediaSiteProcess, telegram: BotApiProcess) -> None:
    service = start(**telegram.settings)
    telegram.api.user(ALICE).says(site.url("media/track3min.m4a"))
    card = until_sent(telegram, "track3min")
    mp3 = next(b for row in card["reply_markup"]["inline_keyboard"] for b in row if "MP3" in b["text"])
    telegram.api.user(ALICE).presses(card, data=mp3["callback_data"])
    eventually(lambda: service.rows("select 1 from jobs where phase in ('converting', 'storing')"), "it converts")
    killed(service)
    telegram.api.until(lambda: [m for m in telegram.api.sent(ALICE) if "audio" in m], timeout=40)
    settled(service)
    assert len([m for m in telegram.api.sent(ALICE) if "audio" in m]) == 1


def test_killed_between_telegrams_acceptance_and_our_commit_the_card_is_still_the_only_copy(
    start: StartService, site: MediaSiteProcess, telegram: BotApiProcess
) -> None:
    """The card is turned into the file: doing so again changes nothing."""
    service = start(**telegram.settings)
    telegram.api.hold("editMessageMedia")  # accepted, but never answered
    telegram.api.user(ALICE).says(site.url("n/accepted.mp4"))
    press_best(telegram, until_sent(telegram, "Starts by itself"))
    telegram.api.until(lambda: files_in(telegram), timeout=30)
    service.kill()
    telegram.api.release()
    service.start()
    settled(service)
    assert len(files_in(telegram)) == 1


def test_where_there_is_no_card_to_turn_two_deaths_make_two_copies_and_never_a_third(
    start: StartService, site: MediaSiteProcess, telegram: BotApiProcess
) -> None:
    service = start(**telegram.settings)
    alice = telegram.api.user(ALICE)
    alice.says(site.url("n/stored.mp4"))
    press_best(telegram, until_sent(telegram, "Starts by itself"))
    the_file(telegram)
    settled(service)
    telegram.api.hold("sendVideo")  # from /history it comes as a message of its own
    alice.says("/history")
    history = until_sent(telegram, "What you had")
    alice.presses(history, data=history["reply_markup"]["inline_keyboard"][0][0]["callback_data"])
    for copies in (2, 3):
        until_there_are(telegram, copies)
        killed(service)
    asked = until_sent(telegram, "interrupted twice")
    assert [b["text"] for row in asked["reply_markup"]["inline_keyboard"] for b in row] == ["📨 Send again"]
    assert len(files_in(telegram)) == 3, "the first one, and at most two of the second"
    telegram.api.release()
    alice.presses(asked, "📨 Send again")
    until_there_are(telegram, 4)


def test_three_spellings_of_one_video_are_fetched_once(start: StartService, site: MediaSiteProcess, telegram: BotApiProcess) -> None:
    service = start(**telegram.settings)
    alice = telegram.api.user(ALICE)
    site.reset()
    spellings = (
        "https://youtu.be/SPELLxxxx01",
        "https://www.youtube.com/watch?v=SPELLxxxx01&si=abc",
        "https://youtube.com/shorts/SPELLxxxx01",
    )
    for number, spelling in enumerate(spellings, 1):
        alice.says(spelling)
        until_there_are(telegram, number)
    settled(service)
    media = [path for path in site.asked() if path.startswith("/media/v")]
    assert len(media) == len(set(media)), f"fetched more than once: {media}"
