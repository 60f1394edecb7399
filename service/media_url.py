"""`MediaUrl`: a web address that may be fetched, in one canonical spelling."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from service.errors import InvalidUrl

MAX_LENGTH = 4096
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*$")
_TRACKING = re.compile(r"^(utm_\w+|fbclid|gclid|igshid|igsh|mc_[ce]id|ref_src|ref_url|spm)$", re.IGNORECASE)
_TOKEN_LIKE = re.compile(
    r"(token|secret|passw|api_?key|signature|^sig$|^key$|^auth|session|credential|x-amz|^policy$|^hdnts$|jwt)", re.IGNORECASE
)
_YOUTUBE_ID = re.compile(r"[\w-]{6,}$", re.ASCII)
_YOUTUBE_PATHS = ("/shorts/", "/embed/", "/live/", "/v/")
_YOUTUBE_HOSTS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com", "www.youtube-nocookie.com"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaUrl:
    """An http(s) address in canonical spelling. Two spellings of the same thing are equal."""

    text: str
    host: str

    def __str__(self) -> str:
        return self.text

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return "/".join(self.text.split("/", 3)[:3])

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical address, in hex: its key in tables and its id where a site has none."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_secret(self) -> bool:
        """Whether the address itself may be a credential: what it leads to is then never shared."""
        parts = urlsplit(self.text)
        return parts.username is not None or any(_TOKEN_LIKE.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True))

    @property
    def shown(self) -> str:
        """The address without credentials, for messages and logs."""
        parts = urlsplit(self.text)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) if self.is_secret else self.text

    def is_on(self, hosts: frozenset[str]) -> bool:
        """Whether the host is one of these, or below one of them by whole labels; `*` stands for every host."""
        labels = self.host.split(".")
        return "*" in hosts or any(".".join(labels[i:]) in hosts for i in range(len(labels)))

    @classmethod
    def parse(cls, text: str) -> MediaUrl:
        """Raises `InvalidUrl` for anything that is not an http(s) address with a host."""
        text = text.strip()
        if not text or len(text) > MAX_LENGTH or _CONTROL.search(text) or "__youtubedl_smuggle" in text:
            raise InvalidUrl
        try:
            parts = urlsplit(text)
            host, port = _host(parts), parts.port
        except ValueError as wrong:
            raise InvalidUrl from wrong
        if parts.scheme.lower() not in {"http", "https"} or not host:
            raise InvalidUrl
        found = _canonical(parts, host, port)
        if len(found.text) > MAX_LENGTH:  # it grows when it is quoted, and what is stored must be readable again
            raise InvalidUrl
        return found


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        return ipaddress.IPv6Address(host.partition("%")[0]).compressed
    ascii_host = host.encode("idna").decode("ascii").lower() if host else ""
    if ascii_host and not _HOST.match(ascii_host):
        raise ValueError(host)
    return ascii_host


def _canonical(parts: SplitResult, host: str, port: int | None) -> MediaUrl:
    video = _youtube_video(parts, host)
    if video:
        return MediaUrl(text=f"https://www.youtube.com/watch?v={video}", host="www.youtube.com")
    scheme = parts.scheme.lower()
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[scheme]:
        netloc += f":{port}"
    user = parts.netloc.rpartition("@")[0]
    if user:
        netloc = f"{quote(user, safe=':%!$&()*+,;=-._~')}@{netloc}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return MediaUrl(text=urlunsplit((scheme, netloc, path, _query(parts.query), "")), host=host)


def _query(query: str) -> str:
    """The query without tracking; untouched, byte for byte, when there is none to remove."""
    kept = [pair for pair in query.split("&") if not _TRACKING.match(pair.partition("=")[0])]
    return quote("&".join(kept), safe="%:@!$&'()*+,;=~-._/?[]|")


def _youtube_video(parts: SplitResult, host: str) -> str | None:
    if host == "youtu.be":
        found = parts.path.strip("/").partition("/")[0]
    elif host in _YOUTUBE_HOSTS:
        query = dict(parse_qsl(parts.query))
        found = query.get("v", "") if parts.path in {"/watch", "/watch/"} else ""
        for prefix in _YOUTUBE_PATHS:
            if parts.path.startswith(prefix):
                found = parts.path.removeprefix(prefix).partition("/")[0]
    else:
        return None
    return found if _YOUTUBE_ID.match(found) else None


def with_query(url: str, **values: str | int) -> str:
    """The address with these query parameters added."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(values)}"
