"""What must hold for every address and every name, not only for those that somebody thought of."""

from __future__ import annotations

import ipaddress
import re
from email.message import Message
from urllib.parse import unquote, urlsplit

import pytest
import urllib3.util
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from magpie.config import YOUTUBE_HOSTS
from magpie.logs import HIDDEN, redacted
from scraper.egress import EgressPolicy
from service.errors import InvalidUrl
from service.media_url import MediaUrl
from service.naming import safe_name
from service.selection import FORMATS, QUALITIES, Selection
from webapi.media import attachment, media_path, media_url_path
from webapi.own import PreferencesView
from webapi.parameters import Integer

HOSTS = st.sampled_from(
    [
        "youtube.com",
        "www.youtube.com",
        "youtu.be",
        "evil.example",
        "YOUTUBE.com.",
        "youtube.com.evil.example",
        "[::1]",
        "127.0.0.1",
        "\u3002youtube.com",
    ]
)
GLUE = st.text(alphabet="/\\@:?#.%[];&=+ \t\u3002\uff0f\u200b09afxv", max_size=8)
ADDRESSES = st.one_of(
    st.text(max_size=60),
    st.tuples(st.sampled_from(["http://", "https://", "HTTPS:/", "//", ""]), HOSTS, GLUE, HOSTS, GLUE).map("".join),
)


def parsed(text: str) -> MediaUrl | None:
    try:
        return MediaUrl.parse(text)
    except InvalidUrl:
        return None


@given(ADDRESSES)
@example("https://youtube.com\\@evil.example/")
@example("https://evil.example#@youtube.com/")
def test_every_reader_of_an_accepted_address_finds_the_same_host(text: str) -> None:
    """Ours decides, urllib3 connects: where the two read another host, a check is worth nothing."""
    url = parsed(text)
    if url is not None:
        host = urllib3.util.parse_url(url.text).host or ""
        assert urlsplit(url.text).hostname == host.strip("[]").lower() == url.host


@given(ADDRESSES)
def test_an_address_in_canonical_spelling_stays_as_it_is(text: str) -> None:
    url = parsed(text)
    if url is not None:
        assert MediaUrl.parse(url.text) == url
        assert url.text.isascii()
        assert url.text.isprintable()


@given(ADDRESSES)
def test_what_is_taken_for_youtube_is_fetched_from_youtube(text: str) -> None:
    url = parsed(text)
    if url is not None and url.is_on(frozenset(YOUTUBE_HOSTS)):
        host = urllib3.util.parse_url(url.text).host or ""
        assert any(f".{host}".endswith(f".{known}") for known in YOUTUBE_HOSTS)


@given(st.ip_addresses(), st.integers(1, 65535))
@example(ipaddress.ip_address("::ffff:127.0.0.1"), 80)
@example(ipaddress.ip_address("64:ff9b::7f00:1"), 80)
@example(ipaddress.ip_address("169.254.169.254"), 80)
def test_no_address_is_permitted_that_python_does_not_take_for_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    if EgressPolicy().permits(str(address), port):
        inner = getattr(address, "ipv4_mapped", None) or address
        assert inner.is_global or address in ipaddress.ip_network("64:ff9b::/96")


@given(st.text(max_size=300), st.sampled_from(["mp3", "mp4", "vtt"]))
def test_every_title_survives_the_way_through_headers_and_addresses(title: str, extension: str) -> None:
    name = safe_name(title, extension)
    header = attachment(name)
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    assert unquote(header.rpartition("''")[2]) == name
    path = media_url_path("f", "j", name)
    assert path.isascii()
    assert unquote(path) == media_path("f", "j", name)
    assert urlsplit(f"http://h{path}").path.count("/") == 5


@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/@\"':?#"), min_size=6, max_size=30),
    st.text(max_size=40),
)
def test_a_password_in_an_address_never_reaches_a_log(password: str, around: str) -> None:
    line = redacted(f"{around} https://user:{password}@host.example/path")
    assert f"https://{HIDDEN}@host.example/path" in line


# --- what the document says of values ---------------------------------------------------------------------------------

SELECTION = PreferencesView.model_json_schema()["properties"]["selection"]["anyOf"][0]["pattern"]
SELECTIONS = st.sampled_from([(kind, form, quality) for kind in FORMATS for form in FORMATS[kind] for quality in QUALITIES[kind]])


@given(SELECTIONS)
def test_the_document_knows_every_selection(parts: tuple[str, str, str]) -> None:
    assert re.search(SELECTION, Selection.of(*parts).key)


@given(st.from_regex(SELECTION, fullmatch=True).filter(bool))
def test_every_selection_that_the_document_knows_is_one(text: str) -> None:
    media_type, form, quality = text.split(":")
    assert Selection.of(media_type, form, quality)


@given(st.one_of(st.booleans(), st.integers().map(str)))
def test_what_only_looks_like_a_number_is_none_in_a_body(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Integer).validate_python(value)
