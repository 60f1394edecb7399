"""Cookies of a site as somebody gives them, and as yt-dlp gets them."""

from __future__ import annotations

import io

import pytest
from yt_dlp.cookies import YoutubeDLCookieJar

from service.cookies import checked_site, netscape
from service.errors import InvalidCookies

SITE = "example.com"


def a_line(*, domain: str = f".{SITE}", subdomains: str = "TRUE", expires: str = "1900000000") -> str:
    return f"{domain}\t{subdomains}\t/\tTRUE\t{expires}\tsid\ts3cr3t\n"


def jar_of(text: str) -> YoutubeDLCookieJar:
    """As a download loads it, and writes it back at its end."""
    jar = YoutubeDLCookieJar(io.StringIO(netscape(text, SITE)))
    jar.load()
    for cookie in jar:
        cookie.is_expired()
    return jar


# --- when they end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expires",
    ["²", "1900000000²", "١٩٠٠٠٠٠٠٠٠", "9" * 23, "253402300800", "-1", "--5", "", "never", "1.x"],
)
def test_a_time_that_is_none_is_refused(expires: str) -> None:
    with pytest.raises(InvalidCookies):
        netscape(a_line(expires=expires), SITE)


@pytest.mark.parametrize(
    ("expires", "kept"), [("0", None), ("1900000000", 1900000000), ("1900000000.75", 1900000000), ("253402300799", 253402300799)]
)
def test_a_time_up_to_the_year_9999_is_what_yt_dlp_gets(expires: str, kept: int | None) -> None:
    assert [cookie.expires for cookie in jar_of(a_line(expires=expires))] == [kept]


# --- whose they are ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("domain", "subdomains"), [(f".{SITE}", "FALSE"), (SITE, "TRUE"), (f".{SITE}", "TRUE"), (f"..{SITE}", "TRUE")])
def test_a_domain_whose_dot_and_word_differ_does_not_break_the_jar(domain: str, subdomains: str) -> None:
    jar = jar_of(a_line(domain=domain, subdomains=subdomains))
    assert jar.get_cookie_header(f"https://video.{SITE}/") == "sid=s3cr3t"


@pytest.mark.parametrize(
    "entry", ['{"value": "x"}', '{"name": null, "value": "x"}', '{"name": 5, "value": "x"}', '{"name": ["a"], "value": "x"}'], ids=str
)
def test_an_entry_of_a_list_without_a_name_is_refused(entry: str) -> None:
    with pytest.raises(InvalidCookies):
        netscape(f'[{{"name": "sid", "value": "s3cr3t"}}, {entry}]', SITE)


def test_an_entry_of_another_site_need_not_be_sound() -> None:
    given = '[{"name": "sid", "value": "s3cr3t"}, {"domain": "other.org"}]'
    assert [cookie.name for cookie in jar_of(given)] == ["sid"]


# --- which site -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["co.uk", "www.co.uk", "CO.JP", ".com.au", "ac.at", "gov.uk", "edu.pl", "org.nz", "net.br"])
def test_what_many_sites_names_end_with_is_no_site(site: str) -> None:
    with pytest.raises(InvalidCookies):
        checked_site(site)


@pytest.mark.parametrize("site", ["bbc.co.uk", "t.co", "co.com", "youtu.be", "com.example", "cococo.de"])
def test_a_site_that_only_looks_like_one_of_those_is_taken(site: str) -> None:
    assert checked_site(site) == site
