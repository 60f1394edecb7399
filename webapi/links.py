"""`/api/v1/links/…`: watched addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from service.archives import read_archive, written_archive
from service.errors import (
    AddressNotAllowed,
    InvalidArchive,
    InvalidCookies,
    InvalidLink,
    InvalidSchedule,
    InvalidSelection,
    InvalidUrl,
    LimitReached,
    LinkNotFound,
    NothingHeld,
    SameLink,
    SecretNeeded,
)
from service.links import Links, LinkView
from service.media_url import MediaUrl
from service.selection import MediaType, Selection
from service.watched import ItemKind, Link, LinkFilters, LinkState, LinkType, Telling
from service.webhooks import OwnWebhooks
from webapi.accounts import BigId
from webapi.auth import Caller
from webapi.contract import ACCOUNTS, OWNERS, Api, Content, Reply
from webapi.paging import After, Count, Limit, Skip, headers_of, window_of
from webapi.parameters import WHOLE, Query
from webapi.problems import FieldError, invalid

LINKS = "/api/v1/links"
SQLITE = "application/vnd.sqlite3"
ArchiveFormat = Literal["yt-dlp", "gallery-dl"]
Address = Annotated[str, Field(min_length=1, max_length=4096, json_schema_extra={"format": "uri"})]
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)]


def _only_text(value: Any) -> Any:
    if not isinstance(value, str | date):
        raise ValueError("a day is wanted, such as 2026-11-22")  # noqa: TRY004 - what pydantic expects of a validator
    return value


class FiltersView(BaseModel):
    """Which items are wanted; what is left out wants all. What a site does not tell of an item keeps it in."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Words that all occur in the title, in whatever case; one with - in front must not"
    )
    min_duration: Annotated[int, Field(ge=0, le=604800), WHOLE] | None = Field(None, description="Seconds")
    max_duration: Annotated[int, Field(ge=0, le=604800), WHOLE] | None = Field(None, description="Seconds")
    since: Annotated[date, BeforeValidator(_only_text)] | None = Field(None, description="Published on this day or later")
    kinds: list[ItemKind] = Field(default_factory=list, max_length=4)
    newest: Annotated[int, Field(ge=1, le=200), WHOLE] | None = Field(None, description="Of each look, only so many")


class ProblemView(BaseModel):
    """What is wrong with a link, and since when."""

    code: str
    message: str
    since: datetime


class LinkOut(BaseModel):
    """A watched address. Its cookies never come back."""

    id: int
    url: str
    name: str
    type: LinkType
    is_enabled: bool
    download_automatically: bool
    tags: list[str]
    has_cookies: bool
    cookies_expire_at: datetime | None
    schedule: str | None = Field(description="Cron; null is every link_monitor_interval_minutes of the settings")
    timezone: str
    filters: FiltersView
    keep_last: int | None
    media_type: MediaType
    output_format: str
    quality: str
    tell: Telling = Field(description="How the owner hears of new items in the chat")
    chat_id: int | None
    thread_id: int | None
    callback_url: str | None
    title: str | None = Field(description="As the site calls it")
    state: LinkState
    problem: ProblemView | None
    items: int = Field(description="How many were seen")
    held: int = Field(description="Items that the owner decides on: POST …/held")
    next_run_at: datetime | None
    last_checked_at: datetime | None
    feed_url: str | None = Field(description="A podcast feed of its audio: whoever has this address can read it")
    created_at: datetime


class LinkChange(BaseModel):
    """What is left out stays."""

    url: Address | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    type: LinkType | None = None
    is_enabled: StrictBool | None = None
    download_automatically: StrictBool | None = None
    tags: Tags | None = None
    cookies: Annotated[str, Field(max_length=256 * 1024)] | None = Field(
        None, description="A JSON object of names and values, or a cookies.txt, as text; empty or null removes them"
    )
    schedule: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(None, description="Five fields of cron, or @daily")
    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    filters: FiltersView | None = None
    keep_last: Annotated[int, Field(ge=1, le=100000), WHOLE] | None = None
    media_type: Literal["video", "audio", "transcript", "picture"] | None = None
    output_format: Annotated[str, Field(max_length=40)] | None = None
    quality: Annotated[str, Field(max_length=40)] | None = None
    tell: Telling | None = None
    chat_id: Annotated[int, Field(gt=-(2**52), lt=2**52), WHOLE] | None = None
    thread_id: Annotated[int, Field(gt=0, lt=2**31), WHOLE] | None = None
    callback_url: Address | None = None


class NewLink(LinkChange):
    """An address to watch. It is looked at for the first time at once."""

    url: Address


class Triggered(BaseModel):
    """The look that was begun, or is under way."""

    msg: str
    job_id: str


class Taken(BaseModel):
    """How many of the newest held items to download; the others are not asked for again."""

    model_config = ConfigDict(extra="forbid")

    take: Annotated[int, Field(ge=0, le=200), WHOLE]


class TakenView(BaseModel):
    """The link as it is now, and the job that downloads what was taken."""

    link: LinkOut
    job_id: str | None


class ArchiveText(BaseModel):
    """An archive of yt-dlp: a line an item, such as `youtube dQw4w9WgXcQ`."""

    archive: Annotated[str, Field(max_length=4 * 1024 * 1024)]


class Imported(BaseModel):
    """How many items were not known yet."""

    added: int


class LinksEndpoints:
    """Each caller has links of their own. `feed` gives the address of a link's feed."""

    def __init__(
        self,
        links: Links,
        *,
        webhooks: OwnWebhooks,
        feed: Callable[[web.Request, Link], str | None],
        gallery_archive: Callable[[Sequence[str]], bytes],
    ) -> None:
        self._links, self._webhooks, self._feed, self._gallery_archive = links, webhooks, feed, gallery_archive

    def register(self, api: Api) -> None:
        tags = ["Links"]
        wrong = [InvalidLink, InvalidSchedule, InvalidCookies, InvalidSelection, AddressNotAllowed, SameLink, SecretNeeded]
        one = f"{LINKS}/{{link_id}}"
        api.route("POST", f"{LINKS}/", access=ACCOUNTS, tags=tags, faults=[*wrong, LimitReached])(self.create_link)
        api.route("GET", f"{LINKS}/", access=ACCOUNTS, tags=tags, answers={200: list[LinkOut]})(self.list_links)
        api.route("GET", one, access=OWNERS, tags=tags, faults=[LinkNotFound])(self.get_link)
        api.route("PUT", one, access=OWNERS, tags=tags, faults=[*wrong, LinkNotFound])(self.change_link)
        api.route("DELETE", one, access=OWNERS, tags=tags, faults=[LinkNotFound])(self.delete_link)
        api.route("POST", f"{one}/trigger-download", access=OWNERS, tags=tags, faults=[LinkNotFound])(self.trigger_link)
        api.route("POST", f"{one}/held", access=OWNERS, tags=tags, faults=[LinkNotFound, NothingHeld, LimitReached])(self.take_held)
        api.route("POST", f"{one}/feed", access=OWNERS, tags=tags, faults=[LinkNotFound])(self.renew_feed)
        api.route("GET", f"{one}/archive", access=OWNERS, tags=tags, faults=[LinkNotFound], answers={200: Content("*/*")})(self.get_archive)
        api.route("POST", f"{one}/archive", access=OWNERS, tags=tags, faults=[LinkNotFound, InvalidArchive], max_size=8 * 1024 * 1024)(
            self.put_archive
        )

    async def create_link(self, request: web.Request, caller: Caller, new: NewLink) -> LinkOut:
        """Watch an address: a channel, a playlist, an artist's gallery."""
        url = _url(new.url, "url")
        fields = await self._fields(caller, new, None)
        fields.pop("url", None)
        return self._shown(request, await self._links.add(caller.actor, _owner(caller), url, fields))

    async def list_links(
        self,
        *,
        request: web.Request,
        caller: Caller,
        skip: Annotated[Skip, Query()] = 0,
        limit: Annotated[Limit, Query()] = 100,
        after: Annotated[After | None, Query()] = None,
        count: Annotated[Count | None, Query()] = None,
    ) -> Reply:
        """One's own links, oldest first; superusers see everybody's."""
        page = await self._links.page(None if caller.actor.is_superuser else _owner(caller), window_of(skip, limit, after, count))
        return Reply([self._shown(request, view) for view in page.entries], headers=headers_of(request, page, limit))

    async def get_link(self, request: web.Request, caller: Caller, link_id: BigId) -> LinkOut:
        """One link."""
        return self._shown(request, await self._links.get(caller.actor, link_id))

    async def change_link(self, request: web.Request, caller: Caller, link_id: BigId, change: LinkChange) -> LinkOut:
        """Change a link; what is left out stays."""
        present = (await self._links.get(caller.actor, link_id)).link
        return self._shown(request, await self._links.change(caller.actor, link_id, await self._fields(caller, change, present)))

    async def delete_link(self, request: web.Request, caller: Caller, link_id: BigId) -> LinkOut:
        """Watch it no longer. What was downloaded stays."""
        return self._shown(request, await self._links.remove(caller.actor, link_id))

    async def trigger_link(self, caller: Caller, link_id: BigId) -> Triggered:
        """Look at a link now."""
        job = await self._links.trigger(caller.actor, link_id)
        return Triggered(msg=f"Download triggered for link {link_id}", job_id=str(job.id))

    async def take_held(self, request: web.Request, caller: Caller, link_id: BigId, taken: Taken) -> TakenView:
        """Decide on what was found and not downloaded: the newest so many come, the others never."""
        job = await self._links.take(caller.actor, link_id, taken.take)
        return TakenView(link=await self.get_link(request, caller, link_id), job_id=str(job.id) if job else None)

    async def renew_feed(self, request: web.Request, caller: Caller, link_id: BigId) -> LinkOut:
        """Give the feed a new address; the present one is void from now on."""
        present = (await self._links.get(caller.actor, link_id)).link
        return self._shown(request, await self._links.change(caller.actor, link_id, {"feed_epoch": present.feed_epoch + 1}))

    async def get_archive(
        self,
        caller: Caller,
        link_id: BigId,
        format: Annotated[ArchiveFormat, Query()] = "yt-dlp",  # noqa: A002 - its name on the wire
    ) -> web.StreamResponse:
        """All items that were seen, as an archive that yt-dlp reads, or gallery-dl (`--download-archive` of both).

        The latter is a database of SQLite with the files of the posts, as far as they are known.
        """
        items = await self._links.archive(caller.actor, link_id)
        if format == "gallery-dl":
            body = await asyncio.to_thread(self._gallery_archive, [entry for item in items for entry in item.entries])
            headers = {"Content-Disposition": f'attachment; filename="link-{link_id}-archive.sqlite3"'}
            return web.Response(body=body, content_type=SQLITE, headers=headers)
        text = written_archive((item.extractor, item.item_id) for item in items)
        headers = {"Content-Disposition": f'attachment; filename="link-{link_id}-archive.txt"'}
        return web.Response(text=text, content_type="text/plain", charset="utf-8", headers=headers)

    async def put_archive(self, caller: Caller, link_id: BigId, given: ArchiveText) -> Imported:
        """Items that were had elsewhere: they are not downloaded."""
        return Imported(added=await self._links.remember(caller.actor, link_id, read_archive(given.archive)))

    # --- from and to the wire -------------------------------------------------------------------------------------

    async def _fields(self, caller: Caller, change: LinkChange, present: Link | None) -> dict[str, Any]:
        """Raises `InvalidSelection`, `InvalidLink`, `SecretNeeded`; `Refused` for an address that is none."""
        given = change.model_dump(exclude_unset=True)
        may_be_none = {"cookies", "schedule", "keep_last", "chat_id", "thread_id", "callback_url"}
        fields = {name: value for name, value in given.items() if value is not None or name in may_be_none}
        if present is not None and fields.get("url") == present.url.shown:
            del fields["url"]  # as it was read here, without what may be a credential
        if (url := fields.get("url")) is not None:
            fields["url"] = _url(url, "url")
        if present is not None and present.callback_url is not None and fields.get("callback_url") == present.callback_url.shown:
            del fields["callback_url"]
        if (callback := fields.get("callback_url")) is not None:
            fields["callback_url"] = _url(callback, "callback_url")
            await self._webhooks.check_callback(caller.account, fields["callback_url"])
        if "tags" in fields:
            fields["tags"] = tuple(dict.fromkeys(fields["tags"]))
        if "filters" in fields:
            fields["filters"] = LinkFilters(**{**fields["filters"], "kinds": tuple(fields["filters"].get("kinds") or ())})
        if "tell" in fields:
            fields["telling"] = fields.pop("tell")
        kind = fields.get("type", present.type if present else LinkType.YOUTUBE_CHANNEL)
        fields |= _selection(fields, kind, present)
        return fields

    def _shown(self, request: web.Request, view: LinkView) -> LinkOut:
        link = view.link
        problem = None
        if link.problem_code is not None:
            problem = ProblemView(code=link.problem_code, message=link.problem or "", since=link.state_since)
        return LinkOut(
            id=link.id,
            url=link.url.shown,
            name=link.name,
            type=link.type,
            is_enabled=link.is_enabled,
            download_automatically=link.download_automatically,
            tags=list(link.tags),
            has_cookies=link.cookies is not None,
            cookies_expire_at=link.cookies_until,
            schedule=link.schedule,
            timezone=link.timezone,
            filters=FiltersView(**{**link.filters.as_json(), "kinds": list(link.filters.kinds)}),
            keep_last=link.keep_last,
            media_type=link.selection.media_type,
            output_format=link.selection.format,
            quality=link.selection.quality,
            tell=link.telling,
            chat_id=link.chat_id,
            thread_id=link.thread_id,
            callback_url=link.callback_url.shown if link.callback_url else None,
            title=link.title,
            state=link.state,
            problem=problem,
            items=view.items,
            held=view.held,
            next_run_at=link.next_run_at,
            last_checked_at=link.last_checked_at,
            feed_url=self._feed(request, link),
            created_at=link.created_at,
        )


def _selection(fields: dict[str, Any], kind: LinkType, present: Link | None) -> dict[str, Any]:
    """The selection, of what is said of it and what it was. Takes its parts out of `fields`."""
    media_type, form, quality = (fields.pop(name, None) for name in ("media_type", "output_format", "quality"))
    if media_type is None and form is None and quality is None and present is not None and present.type.is_gallery == kind.is_gallery:
        return {}
    if media_type is None:
        usual = MediaType.PICTURE if kind.is_gallery else MediaType.VIDEO
        was = present.selection if present is not None and present.type.is_gallery == kind.is_gallery else None
        media_type = (was.media_type if was else usual).value
        form = form or (was.format if was else None)
        quality = quality or (was.quality if was else None)
    try:
        return {"selection": Selection.of(media_type, form, quality)}
    except InvalidSelection as wrong:
        field = "output_format" if wrong.field == "format" else wrong.field
        raise InvalidSelection(field, wrong.message.replace("format must", "output_format must", 1)) from None


def _url(text: str, field: str) -> MediaUrl:
    try:
        return MediaUrl.parse(text)
    except InvalidUrl as wrong:
        error: FieldError = {"loc": ["body", field], "msg": wrong.message, "type": wrong.code}
        raise invalid([error]) from None


def _owner(caller: Caller) -> int:
    assert caller.actor.account_id is not None, "the access rule lets nobody else in"
    return caller.actor.account_id
