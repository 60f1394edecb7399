"""Channels that grow: their pages, and what happens to them."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from sandbox.media_site import MediaSite


async def page(client: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with client.get(path) as answer:
        found: dict[str, Any] = await answer.json()
    return found


async def ids(client: aiohttp.ClientSession, path: str) -> list[str]:
    return [item["id"] for item in (await page(client, path))["items"]]


async def test_a_channel_has_as_many_items_as_its_name_ends_in(client: aiohttp.ClientSession) -> None:
    assert len(await ids(client, "/channel/five5/videos.json")) == 5


async def test_a_long_channel_has_thirty_a_page(client: aiohttp.ClientSession) -> None:
    first = await page(client, "/channel/long5000/videos.json")
    async with client.get(first["next"]) as answer:
        second = await answer.json()
    assert (len(first["items"]), len(second["items"])) == (30, 30)
    assert [first["items"][0]["number"], second["items"][0]["number"]] == [5000, 4970]


async def test_the_last_page_leads_nowhere(client: aiohttp.ClientSession) -> None:
    assert (await page(client, "/channel/long31/videos.json?page=2"))["next"] is None


async def test_items_have_the_same_ids_on_every_site(client: aiohttp.ClientSession, site: MediaSite) -> None:
    before = await ids(client, "/channel/long50/videos.json")
    site.reset()
    assert await ids(client, "/channel/long50/videos.json") == before
    assert {len(one) for one in before} == {11}


async def test_what_is_added_stands_first(client: aiohttp.ClientSession, site: MediaSite) -> None:
    before = await ids(client, "/channel/grow/videos.json")
    async with client.post("/_channels/grow/add?title=New"):
        pass
    after = await page(client, "/channel/grow/videos.json")
    assert after["items"][0]["title"] == "New"
    assert [item["id"] for item in after["items"][1:]] == before
    site.reset()


async def test_what_was_removed_does_not_come_again(client: aiohttp.ClientSession, site: MediaSite) -> None:
    before = await ids(client, "/channel/grow/videos.json")
    channel = site.channels["grow"]
    channel.remove()
    channel.add()
    assert (await ids(client, "/channel/grow/videos.json"))[0] not in before
    site.reset()


@pytest.mark.parametrize(("verb", "status"), [("vanish", 404), ("throttle", 429)])
async def test_a_channel_that_is_gone_or_throttles_until_it_is_mended(
    client: aiohttp.ClientSession, site: MediaSite, verb: str, status: int
) -> None:
    paths = ("/channel/grow", "/channel/grow.rss", "/channel/grow/videos.json")
    seen = []
    for happens in (verb, "mend"):
        async with client.post(f"/_channels/grow/{happens}"):
            pass
        for path in paths:
            async with client.get(path) as answer:
                seen.append(answer.status)
    assert seen == [status] * 3 + [200] * 3
    site.reset()


async def test_what_makes_no_sense_is_refused(client: aiohttp.ClientSession) -> None:
    for path in ("/_channels/grow/dance", "/_channels/grow/rename", "/_channels/grow/add?count=many", "/_channels/grow/add?colour=red"):
        async with client.post(path) as answer:
            assert answer.status == 400


async def test_what_is_done_to_a_channel_is_not_in_the_log(client: aiohttp.ClientSession, site: MediaSite) -> None:
    site.log.clear()
    async with client.post("/_channels/grow/rename?title=Other") as answer:
        assert (await answer.json())["title"] == "Other"
    assert len(site.log) == 0
    site.reset()


async def test_each_item_leads_to_a_video(client: aiohttp.ClientSession) -> None:
    (first, *_) = await ids(client, "/channel/grow/videos.json")
    async with client.get("/channel/grow") as answer:
        assert f"/n/{first}.mp4" in await answer.text()
    async with client.head(f"/n/{first}.mp4") as answer:
        assert (answer.status, answer.content_type) == (200, "video/mp4")
