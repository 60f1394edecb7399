"""Every word the bot says, in one place. English here; a further language is one more `Texts` and a name in `languages.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from bot.texts_accounts import ENGLISH_ACCOUNTS, AccountTexts
from bot.texts_links import ENGLISH_LINKS, LinkTexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts(AccountTexts, LinkTexts):
    """HTML as Telegram knows it. What stands in braces is filled in, escaped, by `str.format`."""

    language: str
    language_name: str

    # --- greetings
    welcome: str
    help: str
    privacy: str
    site_fails: str
    stranger: str
    you_own_it: str
    owner_link_used: str
    blocked: str
    go_private: str
    go_private_button: str
    no_link: str
    not_a_link: str
    too_many_links: str
    not_for_scraping: str
    unknown_command: str
    went_wrong: str

    # --- commands, as Telegram's menu shows them
    command_help: str
    command_history: str
    command_status: str
    command_cancel: str
    command_settings: str
    command_privacy: str
    command_forget: str

    # --- cards
    starts_soon: str
    choose: str
    clip: str
    subtitles: str
    subtitles_choose: str
    cancel: str
    wait: str
    try_again: str
    lower_quality: str
    other_formats: str
    start_again: str
    send_again: str
    back: str
    items: str
    items_more: str
    range_chosen: str
    range_help: str
    range_wrong: str
    range_all: str
    range_first: str
    range_last: str
    batch_title: str
    pictures: str
    pictures_get: str

    # --- progress
    queued: str
    queued_behind: str
    waiting: str
    looking: str
    downloading: str
    converting: str
    storing: str
    backing_off: str
    uploading: str
    items_done: str
    items_failed: str
    list_done: str
    of_total: str
    left: str

    # --- ends
    stopped: str
    done: str
    job: str
    too_big_for_telegram: str
    too_big_without_address: str
    link_lives: str
    link_button: str
    no_longer_stored: str

    # --- answers to buttons
    gone: str
    not_yours: str
    already: str
    nothing_to_stop: str
    stopping: str
    starting: str
    kept: str

    # --- forwarded posts
    saved: str
    saved_where: str
    post_too_big: str
    post_failed: str
    not_a_post: str

    # --- pages
    history_title: str
    history_empty: str
    history_none: str
    history_search: str
    history_failed: str
    history_failed_none: str
    history_failed_only: str
    history_failed_word: str
    history_everything: str
    history_from_chat: str
    history_from_api: str
    history_from_link: str
    history_from_source: str
    history_from_cli: str
    page: str
    newer: str
    older: str
    status_title: str
    status_none: str
    stop_all: str
    stop_all_done: str
    settings_title: str
    settings_default: str
    settings_best: str
    settings_by_itself: str
    settings_language: str
    settings_language_auto: str
    on: str
    off: str
    forget_ask: str
    forget_yes: str
    forget_no: str
    forgotten: str
    not_forgotten: str
    forget_local: str

    failures: Mapping[str, str]
    """One sentence for each code that a job, a look or a delivery can fail with."""

    def failure(self, code: str | None) -> str:
        """The sentence for this code; an unknown one gives the general sentence."""
        return self.failures.get(code or "", self.failures["download_failed"])


ENGLISH = Texts(
    **asdict(ENGLISH_ACCOUNTS),
    **asdict(ENGLISH_LINKS),
    language="en",
    language_name="English",
    welcome=(
        "<b>Hi{name}, I am Magpie.</b>\nSend me a link to a video, a song, a playlist or a post of pictures, "
        "and I send you the file. Forward me a channel post, and I keep its media.\n\n"
        "Only a part? Put the times behind the link: <code>LINK 1:20-2:05</code>\n/help tells the rest."
    ),
    help=(
        "<b>What I can do</b>\n"
        "• <b>A link, or several</b>: I show what is there and how large it is. Choose, or wait: your usual choice starts by itself.\n"
        "• <b>LINK 1:20-2:05</b>: only that part.\n"
        "• <b>A playlist or channel</b>: choose which items; answer the card with a range such as <code>3-7</code>.\n"
        "• <b>A post of pictures</b>: comes as an album.\n"
        "• <b>A forwarded channel post</b>: I keep its media, and offer its links.\n"
        "• In a group, mention me with a link, or reply to one with my name.\n\n"
        "/history what you had, to send again · <code>/history cats</code> to search · <code>/history failed</code>\n"
        "/status what is under way · /cancel to stop it\n"
        "/settings your usual choice and your language\n"
        "/link pair this chat with an account · /web sign in to the web pages\n"
        "/sessions your downloads, to claim or delete · /cookies for sites that want a sign-in\n"
        "/privacy what I keep · /forget to have it deleted"
    ),
    privacy=(
        "<b>What I keep</b>\n"
        "• Your Telegram id, name and language, and your settings, until you say /forget.\n"
        "• The links you sent, what became of them, and the files, until you say /forget. "
        "Files that others asked for too stay with them.\n"
        "• Links that may hold a password or a token are kept encrypted, and what they lead to is only ever given to you.\n"
        "• Cookies that you gave me with /cookies, encrypted, until you drop them. They are sent to their site only, for you only.\n"
        "• What you did that concerns safety (pairing, signing in, keys), until you say /forget.\n"
        "• Your messages themselves: only until I have answered them.\n"
        "Whoever runs this bot can see what is stored. Nothing is given to anybody else."
    ),
    site_fails="Downloads from <b>{host}</b> fail: {failed} of {ended} within an hour. Its pages have probably changed."
    " <code>magpie update-extractors</code> installs the newest yt-dlp (this is {version}).",
    stranger="Hello! This bot is for invited people only. Your id is <code>{id}</code>: its owner can let you in with it.",
    you_own_it="This bot is yours now: you are its administrator. Send me a link to begin.",
    owner_link_used="This link has been used, or is not right. A new one is printed when the bot starts and nobody owns it.",
    blocked="Your account is blocked.",
    go_private="I do that in a private chat only.",
    go_private_button="Open the chat",
    no_link="Send me a link, or forward me a channel post. /help tells what I can do.",
    not_a_link="“{text}” is no link that I can open; it has to look like https://example.com/video.",
    too_many_links="I took the first {taken} of {count} links; send me the others in another message.",
    not_for_scraping="I can keep posts from channels; a message of this kind has nothing that I could keep.",
    unknown_command="I do not know this command. /help tells what I can do.",
    went_wrong="Something went wrong on my side. Please try again; if it happens again, tell whoever runs this bot: <code>{id}</code>",
    command_help="What I can do",
    command_history="What you had; add words to search",
    command_status="What is under way",
    command_cancel="Stop what is under way",
    command_settings="Your usual choice, your language",
    command_privacy="What is kept, and how long",
    command_forget="Delete all that is kept of you",
    starts_soon="Starts by itself in a moment: <b>{choice}</b>",
    choose="What would you like?",
    clip="✂️ {start} – {end}",
    subtitles="💬 Subtitles",
    subtitles_choose="In which language?",
    cancel="✖ Cancel",
    wait="⏸ Let me choose",
    try_again="🔁 Try again",
    lower_quality="⬇ Lower quality",
    other_formats="🎚 Other formats",
    start_again="▶ Start again",
    send_again="📨 Send again",
    back="‹ Back",
    items="{count} items",
    items_more="more than {count} items; I can take the first {count}",
    range_chosen="Chosen: {first}–{last}",
    range_help="Answer this message with a range, such as 3-7, to take only those.",
    range_wrong="Choose a range from 1 to {count}, such as <code>3-7</code>.",
    range_all="All {count}",
    range_first="First {count}",
    range_last="Last {count}",
    batch_title="{count} links",
    pictures="{count} pictures",
    pictures_get="🖼 Album",
    queued="⏳ In the queue",
    queued_behind="⏳ In the queue, {ahead} before you",
    waiting="⏳ The same file is being fetched already; you get it too",
    looking="🔎 Looking",
    downloading="⬇️ Downloading",
    converting="⚙️ Processing",
    storing="📦 Storing",
    backing_off="⏳ The site did not answer; trying again in a moment",
    uploading="📤 Uploading",
    items_done="{done} of {count} done",
    items_failed="{failed} failed",
    list_done="✅ {done} of {count}",
    of_total="{done} of {total}",
    left="{time} left",
    stopped="Stopped.",
    done="✅ Done",
    job="Job {id}",
    too_big_for_telegram="The file has {size}; Telegram takes {limit} from a bot. Here is a link instead.",
    too_big_without_address=(
        "The file has {size}; Telegram takes {limit} from a bot. It is stored, but I cannot make a link to it: "
        "whoever runs this bot has to set <code>MAGPIE_PUBLIC_URL</code>."
    ),
    link_lives="It works for {time}.",
    link_button="⬇ {name}",
    no_longer_stored="This file is no longer stored.",
    gone="This button no longer leads anywhere. Send me the link again.",
    not_yours="This belongs to somebody else.",
    already="That is under way already.",
    nothing_to_stop="There is nothing left to stop.",
    stopping="Stopping …",
    starting="Here we go.",
    kept="Saved.",
    saved="💾 Saved: <b>{title}</b> ({size})",
    saved_where="From {channel}",
    post_too_big="This file has {size}; Telegram lets a bot fetch at most {limit}.",
    post_failed="Telegram did not give me this file. Forward the post again to have me try once more.",
    not_a_post="I keep media from channel posts. Forward me one, or send me a link.",
    history_title="<b>What you had</b>",
    history_empty="Nothing yet. Send me a link.",
    history_none="Nothing found for “{words}”.",
    history_search="<b>Found for “{words}”</b>",
    history_failed="<b>What did not come</b>",
    history_failed_none="Everything came.",
    history_failed_only="⚠️ Only what failed",
    history_failed_word="failed",
    history_everything="All of it",
    history_from_chat="chat",
    history_from_api="the API",
    history_from_link="a watched link",
    history_from_source="a channel",
    history_from_cli="the command line",
    page="{first}–{last} of {count}",
    newer="‹ Newer",
    older="Older ›",
    status_title="<b>Under way</b>",
    status_none="Nothing is under way. Send me a link.",
    stop_all="✖ Stop all",
    stop_all_done="Stopped: {count}.",
    settings_title="<b>Settings</b>\nWhat you choose on a card is remembered; here you can change it.",
    settings_default="Usual choice: {choice}",
    settings_best="Best video",
    settings_by_itself="Starts by itself: {state}",
    settings_language="Language: {language}",
    settings_language_auto="as in Telegram",
    on="yes",
    off="no",
    forget_ask=(
        "<b>Delete everything?</b>\nWhat is under way is stopped. Your history, your settings, and the files that nobody else asked for "
        "are deleted, for good."
    ),
    forget_yes="🗑 Delete everything",
    forget_no="Keep it",
    forgotten="Done: I have forgotten you. If you write again, we begin anew.",
    not_forgotten="Nothing was deleted.",
    forget_local="This chat belongs to the built-in account. To delete everything, stop Magpie and delete its data directory.",
    failures={
        "error": "Something went wrong on my side.",
        "download_failed": "The download failed.",
        "private": "This video is private.",
        "age_restricted": "This video is age-restricted.",
        "geo_blocked": "This video is not available in the country that I run in.",
        "sign_in_needed": "The site wants a signed-in visitor for this.",
        "no_such_video": "There is no such video, or it was removed.",
        "live_stream": "This is a live stream; it can be downloaded once it has ended.",
        "too_large": "The file is larger than this service allows.",
        "too_long": "The media is longer than this service allows.",
        "time_limit": "The download took longer than this service allows.",
        "not_a_list": "There is one video at this address, and no channel or list to watch.",
        "is_playlist": "This is a list of several items, not a single one.",
        "no_room_for_list": "There is no room for the items of this list.",
        "unsupported": "There is nothing at this address that I can download.",
        "format_unavailable": "The media is not available in that format or quality.",
        "no_subtitles": "This video has no subtitles.",
        "pictures_unsupported": "This post holds pictures, and this service is not set up to fetch those.",
        "clip_outside": "The part you want begins after the end.",
        "no_space": "There is not enough disk space for this download.",
        "network": "The site could not be reached, or the connection broke.",
        "throttled": "The site asks me to slow down.",
        "truncated": "The site sent an incomplete file.",
        "ffmpeg": "The file could not be converted.",
        "worker_died": "The download ended unexpectedly.",
        "address_not_allowed": "The address leads into a private network; I do not fetch from there.",
        "interrupted_by_import": "It was under way when a backup was put back. Ask for it again.",
        "needs_reentry": "A secret that this needs cannot be read any more. Give it again.",
        "link_not_found": "There is no such link any more.",
        "interrupted": "I was interrupted too often while working on this.",
        "limit_reached": "You have reached your limit; please try again later.",
        "daily_jobs_reached": "You have reached your limit of downloads a day.",
        "daily_bytes_reached": "You have reached your limit of gigabytes a day.",
        "storage_full": "You have as much stored as you may: delete something with /sessions.",
        "too_many_tries": "Those were too many tries.",
        "code_invalid": "This code is not valid: it was used, has expired, or never existed. Get a new one.",
        "already_paired": "This chat is paired with an account already; say /forget to part with it first.",
        "blocked": "This account is blocked.",
        "last_superuser": "Nobody else could look after this bot then: make another account a superuser first.",
        "session_not_found": "There is no such download session that you could claim.",
        "user_not_found": "There is no such account any more.",
        "busy": "Something else changed the same in this moment. Please try again.",
        "not_paired": "This chat is not paired with an account.",
        "invalid_cookies": "This is no cookies.txt with cookies of that site.",
        "cookies_not_found": "I keep no cookies of this site.",
        "forbidden": "You may not do that.",
        "host_blocked": "Downloads from this site are not allowed here.",
        "invalid_url": "That is no web address that I can open.",
        "file_gone": "The file is no longer stored.",
        "not_accepted": "Telegram did not accept the file.",
        "may_be_there": "I was interrupted twice while sending. The file may be there already; if it is not, I can send it again.",
        "chat_gone": "I may not send files into this chat.",
        "not_delivered": "The file could not be sent to Telegram.",
    },
)
