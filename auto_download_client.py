"""Client of the Auto-Download API: an address in, a link to the finished file out. Needs nothing but Python.

>>> from auto_download_client import AutoDownloadClient
>>> client = AutoDownloadClient()
>>> result = client.download("https://youtube.com/watch?v=XNNjYas8Xo8")  # doctest: +SKIP
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

PATH = "/audio_dl/api/auto-download/"
DEFAULT_BASE_URL = "http://localhost:8000"
DEFAULT_TIMEOUT = 31 * 60.0
"""Seconds. The service itself answers after 30 minutes at the latest."""


class AutoDownloadClient:
    """Talks to one Magpie. `username` links the downloads to that user's account; `api_key` says who is asking."""

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        username: str | None = None,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.username, self.api_key, self.timeout = username, api_key, timeout

    def download(
        self,
        url: str,
        quality: str = "best",
        format: str | None = None,  # noqa: A002 - the API's word
        media_type: str | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Wait for the file and return the service's answer: `success`, then `download_url`, `title`, … or `error`.

        `more` goes into the request as it is, for example `refresh=True`. A service that cannot be reached, or answers
        something else than JSON, is a result with `success: False` as well; nothing is raised for it.
        """
        body = {"url": url, "quality": quality, "format": format, "media_type": media_type, "username": self.username, **more}
        request = urllib.request.Request(  # noqa: S310 - the caller chooses the service's address
            self.base_url + PATH,
            data=json.dumps({name: value for name, value in body.items() if value is not None}).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            method="POST",
        )
        if self.api_key:
            request.add_header("X-API-Key", self.api_key)
        return self._answer(request)

    def _answer(self, request: urllib.request.Request) -> dict[str, Any]:
        try:
            with self._opener().open(request, timeout=self.timeout) as response:
                return _parsed(response.read(), response.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return _parsed(refused.read(), refused.code)
        except (OSError, ValueError) as lost:
            reason = getattr(lost, "reason", None) or lost
            return {"success": False, "error": f"Cannot reach {self.base_url}: {reason}", "code": "unreachable"}

    def _opener(self) -> urllib.request.OpenerDirector:
        """A proxy from the environment is for other machines, never for this one."""
        handlers = [urllib.request.ProxyHandler({})] if _is_loopback(self.base_url) else []
        return urllib.request.build_opener(*handlers)


def _is_loopback(base_url: str) -> bool:
    host = urllib.parse.urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parsed(body: bytes, status: int) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return {"success": False, "error": f"The service answered {status} with something else than JSON.", "code": "bad_answer"}
    return answer


def main(arguments: list[str] | None = None) -> int:
    """The command `auto-download-client`. Exit status 0 when a file is there, else 1."""
    parser = argparse.ArgumentParser(prog="auto-download-client", description="Download the audio (or video) of a link through Magpie.")
    parser.add_argument("url", help="the link, for example https://youtu.be/VIDEO_ID")
    parser.add_argument("--username", help="link the download to this user's account")
    parser.add_argument("--quality", default="best", help="best, worst, 128k, 192k, 320k; for video best, 2160 … 360, worst")
    parser.add_argument("--format", help="mp3, wav, flac, m4a, opus; for video mp4, webm, mkv")
    parser.add_argument("--media-type", choices=["audio", "video"], help="audio (the default) or video")
    parser.add_argument("--base-url", default=DEFAULT_BASE_URL, help="where Magpie is (default: %(default)s)")
    parser.add_argument("--api-key", help="an API key of your account")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    given = parser.parse_args(arguments)
    client = AutoDownloadClient(given.base_url, given.username, given.api_key)
    result = client.download(given.url, quality=given.quality, format=given.format, media_type=given.media_type)
    _show(result, as_json=given.json)
    return 0 if result.get("success") else 1


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    elif result.get("success"):
        who = f" by {result['artist']}" if result.get("artist") else ""
        linked = f"\nLinked to: {result['linked_to_user']}" if result.get("linked_to_user") else ""
        sys.stdout.write(f"{result['title']}{who} ({result['file_size']} bytes)\n{result['download_url']}{linked}\n")
    else:
        sys.stderr.write(f"Error: {result.get('error', 'Download failed')}\n")


if __name__ == "__main__":
    sys.exit(main())
