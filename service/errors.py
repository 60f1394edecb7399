"""What can go wrong, as one tree: `MagpieError`, six families, and the concrete errors.

Edges (HTTP, chat, command line) map families. A new concrete error needs a `code`, its fields and a docstring,
which is its message unless one is given, and touches no edge.
"""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import ClassVar


class MagpieError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    advice: ClassVar[str | None] = None
    """What the person can do about it: one short sentence, or None."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (inspect.getdoc(self) or self.code).strip().split("\n\n", maxsplit=1)[0]
        super().__init__(self.message)


# --- the six families -----------------------------------------------------------------------------------------------


class NotFound(MagpieError):
    """Not found."""

    code = "not_found"


class Forbidden(MagpieError):
    """You may not do that."""

    code = "forbidden"


class Conflict(MagpieError):
    """That does not fit the present state."""

    code = "conflict"


class LimitReached(MagpieError):
    """A limit is reached."""

    code = "limit_reached"

    def __init__(self, message: str | None = None, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidInput(MagpieError):
    """The input is not valid."""

    code = "invalid_input"


class Unavailable(MagpieError):
    """That is not available just now; a later try may succeed."""

    code = "unavailable"

    def __init__(self, message: str | None = None, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


# --- input ----------------------------------------------------------------------------------------------------------


class InvalidUrl(InvalidInput):
    """That is not a web address that can be fetched; it must begin with http:// or https://."""

    code = "invalid_url"


class InvalidSelection(InvalidInput):
    """That combination of media type, format and quality does not exist."""

    code = "invalid_selection"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class HostNotAllowed(InvalidInput):
    """Downloads from this host are not allowed here."""

    code = "host_not_allowed"


class AddressNotAllowed(InvalidInput):
    """The address leads into a private network and is not fetched."""

    code = "address_not_allowed"
    advice = "Send a link to a public web site."


class HostBlocked(InvalidInput):
    """Downloads from this host are not allowed here."""

    code = "host_blocked"


class InvalidAccount(InvalidInput):
    """A value of the account is not valid."""

    code = "invalid_account"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidCookies(InvalidInput):
    """This is neither a cookies.txt file nor a JSON object of names and values."""

    code = "invalid_cookies"


class InvalidLink(InvalidInput):
    """What is said of a link is not valid."""

    code = "invalid_link"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidSchedule(InvalidLink):
    """This is no schedule."""

    code = "invalid_schedule"


class InvalidDump(InvalidInput):
    """This is no dump that Magpie made."""

    code = "not_a_dump"
    advice = "Import a file that Magpie exported, as it was exported."


class InvalidArchive(InvalidInput):
    """This is no archive."""

    code = "invalid_archive"


class InvalidSettings(InvalidInput):
    """A setting is not valid."""

    code = "invalid_settings"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


# --- who is who -----------------------------------------------------------------------------------------------------


class NotAuthenticated(MagpieError):
    """Not authenticated"""

    code = "not_authenticated"


class WrongPassword(NotAuthenticated):
    """Incorrect username or password"""

    code = "wrong_password"


class TooManyTries(LimitReached):
    """Too many tries; wait a little."""

    code = "too_many_tries"


class AccountNotFound(NotFound):
    """User not found"""

    code = "user_not_found"


class ApiKeyNotFound(NotFound):
    """API key not found"""

    code = "api_key_not_found"


class DownloadSessionNotFound(NotFound):
    """Session not found"""

    code = "session_not_found"


class CookiesNotFound(NotFound):
    """No cookies of this site are kept"""

    code = "cookies_not_found"


class NotPaired(NotFound):
    """This Telegram account is not paired with this account."""

    code = "not_paired"


class CodeInvalid(InvalidInput):
    """This code is not valid: it was used, has expired, or never existed."""

    code = "code_invalid"


class SetupCodeNeeded(Forbidden):
    """The first account needs the set-up code that was printed when Magpie started (MAGPIE_SETUP_CODE)."""

    code = "setup_code_needed"


class NameTaken(Conflict):
    """A user with this name or e-mail address exists already."""

    code = "name_taken"


class Vanished(Conflict):
    """What this belongs to has just been deleted."""

    code = "gone"


class Clash(Unavailable):
    """Others changed the same things in this moment; try again."""

    code = "busy"


class LastSuperuser(Conflict):
    """This is the last superuser: make another one first."""

    code = "last_superuser"


class AlreadyPaired(Conflict):
    """This Telegram account is paired with another account; unpair it there first."""

    code = "already_paired"


class MediaRootFixed(Conflict):
    """media_root cannot be changed while Magpie runs; set MAGPIE_MEDIA_URL."""

    code = "media_root_fixed"


class DailyJobsReached(LimitReached):
    """You have reached your limit of downloads a day."""

    code = "daily_jobs_reached"


class DailyBytesReached(LimitReached):
    """You have reached your limit of gigabytes a day."""

    code = "daily_bytes_reached"


class StorageFull(LimitReached):
    """You have as much stored as you may; delete something first."""

    code = "storage_full"


# --- state ----------------------------------------------------------------------------------------------------------


class JobNotFound(NotFound):
    """Job not found"""

    code = "job_not_found"


class HistoryEntryNotFound(NotFound):
    """History entry not found"""

    code = "history_entry_not_found"


class FeedNotFound(NotFound):
    """There is no such feed; its address may have been withdrawn."""

    code = "feed_not_found"


class NoAudioFeed(NotFound):
    """This link has no feed: only links that keep audio have one."""

    code = "no_audio_feed"


class ImportNotFound(NotFound):
    """Nothing has been imported here yet."""

    code = "import_not_found"


class LinkNotFound(NotFound):
    """Link not found"""

    code = "link_not_found"


class SameLink(Conflict):
    """There is a link to this address already."""

    code = "same_link"


class NothingHeld(Conflict):
    """There is nothing to decide on."""

    code = "nothing_held"


class WebhookNotFound(NotFound):
    """There is no webhook."""

    code = "webhook_not_found"


class SecretNeeded(InvalidInput):
    """A callback needs an account with a webhook secret: PUT /api/v1/users/me/webhook first."""

    code = "webhook_secret_needed"


class TooManySessions(LimitReached):
    """You have opened as many sessions as you may; close one, or use one that you have."""

    code = "too_many_sessions"


class SessionJobsReached(LimitReached):
    """This session has as many jobs as it may; open another one."""

    code = "session_jobs_reached"


class SessionsFull(Unavailable):
    """As many sessions are open as there may be; try again later."""

    code = "sessions_full"


class MediaNotFound(NotFound):
    """File not found"""

    code = "media_not_found"


class LinkInvalid(Forbidden):
    """This link is not valid."""

    code = "link_invalid"


class LinkExpired(Forbidden):
    """This link has expired."""

    code = "link_expired"


class JobNotLive(Conflict):
    """The job has ended already."""

    code = "job_not_live"


class JobNotRetryable(Conflict):
    """Only a failed or cancelled job can be tried again."""

    code = "job_not_retryable"


class IdempotencyConflict(Conflict):
    """This Idempotency-Key was used with another request."""

    code = "idempotency_conflict"


class ImportUnderWay(Conflict):
    """An import is under way already; wait for its end."""

    code = "import_under_way"


class ImportUncertain(Unavailable):
    """The database was lost in the last moment of the import: whether the dump took the place of what there was shows when it is back."""

    code = "import_uncertain"


class DiskFull(Unavailable):
    """There is not enough disk space for this dump; make room and try again."""

    code = "disk_full"


class NeedsReentry(Conflict):
    """This was encrypted with a key that is not here any more; give it again."""

    code = "needs_reentry"


class EngineBusy(Conflict):
    """Another Magpie is already running on this data directory."""

    code = "engine_busy"


class ChatUnreachable(Unavailable):
    """Telegram cannot be reached just now, so nothing was deleted; try again later."""

    code = "telegram_unreachable"


class Stopping(Unavailable):
    """Magpie is stopping; try again in a moment."""

    code = "stopping"


# --- the chat -------------------------------------------------------------------------------------------------------


class NotInvited(Forbidden):
    """You are not on this bot's list."""

    code = "not_invited"


class Blocked(Forbidden):
    """This account is blocked."""

    code = "blocked"


class CardGone(NotFound):
    """This button no longer leads anywhere; send the link again."""

    code = "card_gone"


class NotYours(Forbidden):
    """This belongs to somebody else."""

    code = "not_yours"


class AlreadyChosen(Conflict):
    """That is under way already."""

    code = "already_chosen"


# --- why a fetch failed ---------------------------------------------------------------------------------------------


class FetchFailed(MagpieError):
    """Download failed"""

    code = "download_failed"
    transient: ClassVar[bool] = False
    """True when the same request may well succeed a moment later, so it is tried again by itself."""


class VideoPrivate(FetchFailed):
    """This video is private."""

    code = "private"


class AgeRestricted(FetchFailed):
    """This video is age-restricted."""

    code = "age_restricted"


class GeoBlocked(FetchFailed):
    """This video is not available in the country that the service runs in."""

    code = "geo_blocked"


class SignInNeeded(FetchFailed):
    """The site wants a signed-in visitor for this."""

    code = "sign_in_needed"


class NoSuchVideo(FetchFailed):
    """There is no such video, or it was removed."""

    code = "no_such_video"


class LiveStream(FetchFailed):
    """This is a live stream; it can be downloaded once it has ended."""

    code = "live_stream"


class TooLarge(FetchFailed):
    """The file is larger than this service allows."""

    code = "too_large"
    advice = "Choose a lower quality."


class TooLong(FetchFailed):
    """The media is longer than this service allows."""

    code = "too_long"


class TimeLimit(FetchFailed):
    """The download took longer than this service allows."""

    code = "time_limit"
    advice = "Choose a lower quality."


class NotAList(FetchFailed):
    """There is one video at this address, and no channel or list to watch."""

    code = "not_a_list"


class TooManyItems(FetchFailed):
    """This is a list of several items, not a single one."""

    code = "is_playlist"
    advice = "Send the link of one item."


class NoRoom(FetchFailed):
    """There is no room for the items of this list."""

    code = "no_room_for_list"


class Unsupported(FetchFailed):
    """There is nothing at this address that can be downloaded."""

    code = "unsupported"


class FormatUnavailable(FetchFailed):
    """The media is not available in that format or quality."""

    code = "format_unavailable"
    advice = "Choose another quality or format."


class NoSubtitles(FetchFailed):
    """This video has no subtitles."""

    code = "no_subtitles"


class PicturesUnsupported(FetchFailed):
    """This post holds pictures, and this service is not set up to fetch those."""

    code = "pictures_unsupported"


class ClipOutside(FetchFailed):
    """The clip begins after the end."""

    code = "clip_outside"
    advice = "Choose another range."


class NoSpace(FetchFailed):
    """There is not enough disk space for this download."""

    code = "no_space"
    advice = "Try again later."


class NetworkFailed(FetchFailed):
    """The site could not be reached, or the connection broke."""

    code = "network"
    transient = True
    advice = "Try again later."


class Throttled(FetchFailed):
    """The site asks us to slow down."""

    code = "throttled"
    transient = True
    advice = "Try again later."


class Truncated(FetchFailed):
    """The site sent an incomplete file."""

    code = "truncated"
    transient = True
    advice = "Try again later."


class ConversionFailed(FetchFailed):
    """The file could not be converted (ffmpeg)."""

    code = "ffmpeg"
    advice = "Choose another format."


class WorkerDied(FetchFailed):
    """The download process ended unexpectedly."""

    code = "worker_died"
    transient = True
    advice = "Try again later."


class FetchAddressRefused(FetchFailed):
    """The address leads into a private network and is not fetched."""

    code = "address_not_allowed"
    advice = "Send a link to a public web site."


class Interrupted(FetchFailed):
    """The service was interrupted too often while it worked on this job."""

    code = "interrupted"
    advice = "Try again."


def _concrete(root: type[FetchFailed]) -> dict[str, type[FetchFailed]]:
    found = {root.code: root}
    for kind in root.__subclasses__():
        found |= _concrete(kind)
    return found


def fetch_failure(code: str, message: str | None = None) -> FetchFailed:
    """The failure with this code; an unknown code gives the general one."""
    return _concrete(FetchFailed).get(code, FetchFailed)(message)
