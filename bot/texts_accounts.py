"""What the bot says about accounts: pairing, download sessions, signing in, cookies, administration. English."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTexts:
    """HTML as Telegram knows it. What stands in braces is filled in, escaped, by `str.format`."""

    # --- commands, as Telegram's menu shows them
    command_link: str
    command_sessions: str
    command_cookies: str
    command_web: str

    # --- pairing
    link_own: str
    link_local: str
    link_paired: str
    link_paired_also: str
    link_how: str
    link_unclaimed: str
    link_unclaimed_all: str
    link_offer: str
    link_number: str
    link_moves: str
    link_moves_cookies: str
    link_ends_keys: str
    link_moves_nothing: str
    link_join: str
    link_no: str
    link_joined: str
    link_not_joined: str
    claim: str
    claimed: str

    # --- download sessions
    sessions_title: str
    sessions_empty: str
    sessions_unclaimed: str
    sessions_unclaimed_all: str
    sessions_line: str
    sessions_untitled: str
    sessions_delete_ask: str
    sessions_delete_yes: str
    sessions_delete_no: str
    sessions_deleted: str

    # --- signing in
    web_link: str
    web_without_address: str

    # --- cookies
    cookies_title: str
    cookies_help: str
    cookies_list: str
    cookies_drop: str
    cookies_dropped: str
    cookies_stored: str
    cookies_which_site: str
    cookies_deleted: str
    cookies_not_deleted: str
    cookies_not_there: str
    cookies_as_file: str

    # --- administration
    users_title: str
    users_none: str
    users_blocked: str
    users_superuser: str
    users_trusted: str
    users_user: str
    users_used: str
    users_used_freely: str
    users_block: str
    users_unblock: str
    users_trust: str
    users_untrust: str
    stats_title: str
    stats_jobs: str
    stats_stored: str
    stats_accounts: str
    stats_failures: str
    stats_no_failures: str

    # --- being forgotten
    forget_which: str
    forget_identity: str
    forget_account: str
    forgot_identity: str

    # --- limits
    come_back: str


ENGLISH_ACCOUNTS = AccountTexts(
    command_link="Pair this chat with an account",
    command_sessions="Download sessions: claim, delete",
    command_cookies="Cookies of sites that want a sign-in",
    command_web="A link that signs you in to the web pages",
    link_own="This chat has an account of its own: <code>{name}</code>.",
    link_local="This chat belongs to the built-in account: <code>{name}</code>.",
    link_paired="This chat is paired with the account <b>{name}</b>{address}.",
    link_paired_also="Paired with it too: {names}",
    link_how="To pair this chat with an account, get a code there and send me <code>/link CODE</code>.",
    link_unclaimed="<b>Unclaimed downloads that name this account</b>",
    link_unclaimed_all="<b>Unclaimed downloads</b>",
    link_offer="<b>Join this account?</b>\n<b>{name}</b>{address}",
    link_number="Compare this number with the one that your other screen shows: <b>{number}</b>",
    link_moves="What you had in this chat moves there: {history} entries of history, {files} files.",
    link_moves_cookies="Cookies of {count} sites move there, too.",
    link_ends_keys="API keys that you made for this chat stop working: {count}.",
    link_moves_nothing="You have nothing here yet that would move there.",
    link_join="Join",
    link_no="No",
    link_joined="Done: this chat is paired with <b>{name}</b>.",
    link_not_joined="Nothing was joined.",
    claim="📥 Claim {number}",
    claimed="It is yours now.",
    sessions_title="<b>Downloads</b>",
    sessions_empty="There are no downloads of yours.",
    sessions_unclaimed="<b>Unclaimed</b>, but they name you",
    sessions_unclaimed_all="<b>Unclaimed</b>",
    sessions_line="{title} · jobs: {jobs} · {date}",
    sessions_untitled="without a title",
    sessions_delete_ask=(
        "<b>Delete these downloads?</b>\n{title}\nJobs: {jobs}, files: {files}. What is under way is stopped. "
        "Files that another download also has stay there, and so does your history."
    ),
    sessions_delete_yes="🗑 Delete",
    sessions_delete_no="Keep",
    sessions_deleted="Deleted.",
    web_link="This signs you in, once, within {minutes} minutes. Give it to nobody.\n{link}",
    web_without_address="I cannot make a link: whoever runs this bot has to set <code>MAGPIE_PUBLIC_URL</code> to its public address.",
    cookies_title="Cookies",
    cookies_help=(
        "Some sites show things only to who is signed in there. Give me the site's cookies, and your downloads use them.\n\n"
        "Export them in your browser as a <code>cookies.txt</code>, and send me the file with the caption "
        "<code>/cookies youtube.com</code>, or as an answer to this message. I delete your message at once, keep the cookies encrypted, "
        "show them to nobody, and send them to that site only."
    ),
    cookies_list="<b>Kept for you</b>",
    cookies_drop="🗑 {site}",
    cookies_dropped="The cookies of {site} are deleted.",
    cookies_stored="🍪 I keep the cookies of <b>{site}</b> now.",
    cookies_which_site="Of which site? Send the file once more, with a caption such as <code>/cookies youtube.com</code>.",
    cookies_deleted="Your message with them is deleted.",
    cookies_not_deleted="Telegram does not let me delete your message with the cookies: please delete it yourself.",
    cookies_not_there="Telegram did not give me this file. Please send it once more.",
    cookies_as_file="I take cookies as a file only: send me the <code>cookies.txt</code> itself.",
    users_title="<b>Accounts</b>",
    users_none="There is no account yet.",
    users_blocked="🚫 blocked",
    users_superuser="superuser",
    users_trusted="trusted",
    users_user="user",
    users_used="{jobs} of {max_jobs} downloads and {bytes} of {max_bytes} today, {stored} of {max_stored} stored",
    users_used_freely="{jobs} downloads and {bytes} today, {stored} stored",
    users_block="🚫 Block {number}",
    users_unblock="Unblock {number}",
    users_trust="Trusted {number}",
    users_untrust="User {number}",
    stats_title="<b>Figures</b>",
    stats_jobs="Running: {running} · in the queue: {queued}",
    stats_stored="Stored: {size} in {files} files",
    stats_accounts="Accounts: {count}",
    stats_failures="<b>What failed in the last day</b>",
    stats_no_failures="Nothing failed in the last day.",
    forget_which=(
        "<b>Delete what?</b>\nThis chat is paired with the account <b>{name}</b>.\n"
        "• <b>Only this chat</b>: I forget your Telegram id, your name and the cards in this chat. "
        "What was downloaded stays with the account.\n"
        "• <b>The whole account</b>: its history, files, keys, cookies and settings are deleted, for good, and nobody can log in to it."
    ),
    forget_identity="Only this chat",
    forget_account="🗑 The whole account",
    forgot_identity="Done: this chat is no longer paired, and I have forgotten you here. The account has kept what was downloaded.",
    come_back="It opens again in {time}.",
)
