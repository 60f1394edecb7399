"""Whatever a generator of requests thinks of, the layer answers as its document says."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.unit.webapi.toy import served, toy_api
from webapi.docs_pages import DocsPages


@pytest.mark.parametrize(
    "selection",
    [
        # A list of one is a plain value in a form, which the generator takes for another type; and /own/… only fails.
        ["--mode", "all", "--exclude-path-regex", "static|stream|either|upload|own/"],
        # Of a file's bytes it means to send null or a list, and sends bytes.
        ["--mode", "positive", "--include-path", "/upload"],
    ],
    ids=["everything", "uploads"],
)
async def test_generated_requests_get_what_the_document_promises(selection: list[str], tmp_path: Path) -> None:
    api = toy_api()
    DocsPages(api).register()
    async with served(api) as site:
        run = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{site.url}/openapi.json", *selection),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1"),
            *("--generation-database", "none", "--generation-allow-x00", "false", "--no-color"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(120):
            output, _ = await run.communicate()
    assert run.returncode == 0, output.decode()
