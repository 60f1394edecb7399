"""What the bot says about watched links. English."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)  # without slots: a class has only one ancestor with some
class LinkTexts:
    """HTML as Telegram knows it. What stands in braces is filled in, escaped, by `str.format`."""

    command_links: str
    watch_button: str
    watching: str
    watched_already: str
    links_title: str
    links_empty: str
    links_line: str
    links_all: str
    links_now: str
    links_looking: str
    links_pause: str
    links_resume: str
    links_paused: str
    links_resumed: str
    links_delete: str
    links_delete_ask: str
    links_delete_yes: str
    links_delete_no: str
    links_deleted: str
    links_by_interval: str
    links_by_schedule: str
    links_items: str
    links_checked: str
    links_never_checked: str
    links_next: str
    links_held: str
    links_asks: str
    links_take: str
    links_take_all: str
    links_take_none: str
    links_tell_send: str
    links_tell_announce: str
    links_tell_digest: str
    links_tell_nothing: str
    links_told: str
    links_as_video: str
    links_as_audio: str
    links_taken: str
    links_none_taken: str
    links_problem: str
    links_new: str
    links_digest: str
    links_more: str
    links_cookies: str
    links_no_chat: str


ENGLISH_LINKS = LinkTexts(
    command_links="Channels and playlists that I watch for you",
    watch_button="👁 Watch this",
    watching="I watch <b>{name}</b> now. What is new comes by itself; /links shows all.",
    watched_already="I watch this for you already: see /links.",
    links_title="<b>What I watch for you</b>",
    links_empty="I watch nothing for you yet. Send <code>/link ADDRESS</code> with a channel or a playlist.",
    links_line="{sign} {name} · {items}",
    links_all="« All",
    links_now="🔄 Look now",
    links_looking="I look.",
    links_pause="⏸ Pause",
    links_resume="▶ Go on",
    links_paused="I do not look until you say so.",
    links_resumed="I look again.",
    links_delete="🗑 Delete",
    links_delete_ask="Watch <b>{name}</b> no longer? What has come stays.",
    links_delete_yes="Yes, stop watching",
    links_delete_no="No",
    links_deleted="I do not watch it any more.",
    links_by_interval="Looked at every so often.",
    links_by_schedule="Looked at by <code>{schedule}</code> ({timezone}).",
    links_items="{count} seen so far.",
    links_checked="Last look: {at} UTC.",
    links_never_checked="Not looked at yet.",
    links_next="Next look: {at} UTC.",
    links_held="{count} wait for your word.",
    links_asks="There are {count} items in <b>{name}</b>. How many of the newest do you want? What is new from now on comes anyway.",
    links_take="Newest {count}",
    links_take_all="All {count}",
    links_take_none="Only what is new",
    links_tell_send="📨 Send",
    links_tell_announce="📢 Name",
    links_tell_digest="🗞 Once a day",
    links_tell_nothing="🔕 Quiet",
    links_told="So it is from now on.",
    links_as_video="🎬 Video",
    links_as_audio="🎧 Audio",
    links_taken="They are coming.",
    links_none_taken="Only what is new from now on.",
    links_problem="⚠️ I could not look at <b>{name}</b>: {problem} I try again later.",
    links_new="New in <b>{name}</b>:",
    links_digest="New in <b>{name}</b> since the last time:",
    links_more="and {count} more",
    links_cookies="The cookies of <b>{name}</b> expire soon, or have expired. Give newer ones, or it may stop working.",
    links_no_chat="⚠️ I cannot send what is new in <b>{name}</b> where you want it: I have to be there, and you an administrator.",
)
