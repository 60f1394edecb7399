from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.webapi.toy import Site, served, toy_api
from webapi import docs_pages
from webapi.docs_pages import DocsPages

PAGES = ["/docs", "/api/v1/docs", "/redoc", "/api/v1/redoc"]
STATIC = Path(docs_pages.__file__).parent / "static"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    api = toy_api()
    DocsPages(api).register()
    async with served(api) as running:
        yield running


@pytest.mark.parametrize("path", [*PAGES, "/docs/"])
async def test_a_page_and_all_it_loads_come_from_here(site: Site, path: str) -> None:
    async with site.http.get(path) as got:
        page = await got.text()
        assert (got.status, got.content_type) == (200, "text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    for address in loaded:
        assert address == "data:," or address.startswith("/")
        if address.startswith("/static/"):
            async with site.http.get(address) as got:
                assert got.status == 200
                assert got.content_type in {"text/css", "text/javascript"}
    assert len(loaded) >= 4


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_may_run_our_scripts_only_and_talk_to_us_only(site: Site, path: str) -> None:
    async with site.http.get(path) as got:
        policy = dict(part.split(" ", 1) for part in got.headers["Content-Security-Policy"].split("; "))
        page = await got.text()
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert re.findall(r"<script(?![^>]*src=)", page) == [], "an inline script would not run"


def test_nothing_is_fetched_from_elsewhere() -> None:
    assert "validatorUrl: null" in (STATIC / "swagger.js").read_text()
    for file in STATIC.rglob("*.*"):
        if file.suffix in {".js", ".html", ".css"}:
            assert not re.search(r"https?://(cdn|fonts|unpkg)\.", file.read_text()), file.name


def test_each_vendored_file_has_its_licence_and_nothing_else_is_there() -> None:
    assert {file.name for file in (STATIC / "vendor").iterdir()} == {
        "README.md",
        "redoc.LICENSE",
        "redoc.standalone.js",
        "redoc.standalone.js.LICENSE.txt",
        "swagger-ui-bundle.js",
        "swagger-ui-bundle.js.LICENSE.txt",
        "swagger-ui.LICENSE",
        "swagger-ui.NOTICE",
        "swagger-ui.css",
    }


async def test_the_document_names_every_route(site: Site) -> None:
    async with site.http.get("/openapi.json") as got:
        paths = (await got.json())["paths"]
    assert {"/", "/openapi.json", "/static/{name}", "/birds", *PAGES} <= {*paths}


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fdocs_pages.py", "vendor%2Fswagger-ui.css", "%00", "swagger.html"])
async def test_only_listed_files_are_served(site: Site, name: str) -> None:
    async with site.http.get(f"/static/{name}") as got:
        assert got.status == 404


async def test_the_root_is_json_for_programs_and_leads_a_browser_to_the_pages(site: Site) -> None:
    async with site.http.get("/") as got:
        body = await got.json()
        assert (body["name"], body["version"], body["docs"], body["health"]) == ("Birds", "1.0", "/docs", "/api/health")
    async with site.http.get("/", headers={"Accept": "text/html,*/*"}, allow_redirects=False) as got:
        assert (got.status, got.headers["Location"]) == (302, "/app/")
