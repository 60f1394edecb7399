"""Addresses that leave Magpie: absolute, and signed so that they open one thing for a while."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from uuid import UUID

from aiohttp import web

from service.model import DownloadSession, JobFile
from service.signed_links import EVENTS, MEDIA, STATUS, SignedLinks
from webapi.media import media_path, media_url_path

STATUS_TTL = timedelta(hours=24)
EVENTS_TTL = timedelta(minutes=10)


def status_path(job_id: UUID) -> str:
    return f"/api/jobs/{job_id}"


def events_path(job_id: UUID) -> str:
    return f"/api/jobs/{job_id}/events"


class Addresses:
    """Builds them from the public address, else from a loopback `Host`, else from the address that we listen on."""

    def __init__(self, *, public_url: str | None, listen: str, links: SignedLinks, media_ttl: timedelta) -> None:
        self._public_url, self._listen = public_url, listen
        self._links, self._media_ttl = links, media_ttl

    def media(self, request: web.Request, session: DownloadSession, file: JobFile) -> str:
        named = session.folder, file.job_id, file.name
        query = self._links.sign(media_path(*named), purpose=MEDIA, ttl=self._media_ttl, epoch=file.epoch)
        return self._base(request) + media_url_path(*named) + query

    def outside(self, folder: str, file: JobFile) -> str | None:
        """For mails and chats, which are read elsewhere: None while nobody has said how the world reaches us."""
        if not self._public_url:
            return None
        named = folder, file.job_id, file.name
        query = self._links.sign(media_path(*named), purpose=MEDIA, ttl=self._media_ttl, epoch=file.epoch)
        return self._public_url + media_url_path(*named) + query

    def status(self, request: web.Request, job_id: UUID) -> str:
        path = status_path(job_id)
        return self._base(request) + path + self._links.sign(path, purpose=STATUS, ttl=STATUS_TTL)

    def events(self, request: web.Request, job_id: UUID) -> str:
        path = events_path(job_id)
        return self._base(request) + path + self._links.sign(path, purpose=EVENTS, ttl=EVENTS_TTL)

    def _base(self, request: web.Request) -> str:
        if self._public_url:
            return self._public_url
        host = request.headers.get("Host", "")
        return f"http://{host}" if _is_loopback(host) else self._listen


def _is_loopback(host: str) -> bool:
    """Whether a `Host` header names this machine: anybody may send any other."""
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "0")
    if not port.isascii() or not port.isdigit():
        return False
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return name.lower() == "localhost"
