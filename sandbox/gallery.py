"""The stand-ins for a site of pictures and for pixiv, as a directory that can be given to gallery-dl."""

from __future__ import annotations

from pathlib import Path

_MODULE = Path("gallery_dl_plugins") / "local_gallery.py"
_SOURCE = '''"""Written by `sandbox.gallery.write_plugin`: extracts the posts of the local media site, and nothing else.

Of pixiv's users only the extraction is replaced: user N has the items of the site's channel `pixivN`, each a post of one to three pictures.
"""

from datetime import datetime, timezone

from gallery_dl import text
from gallery_dl.extractor.common import Extractor, Message


class LocalPostExtractor(Extractor):
    category = "local"
    subcategory = "post"
    pattern = r"{pattern}/post/(\\d+)(?:\\?.*)?$"
    example = "http://127.0.0.1:1/post/3"

    def items(self):
        page = self.request(self.url).text
        title = text.unescape(text.extr(page, "<title>", "</title>"))
        about = {{"title": title, "author": {{"name": "local", "nick": "Test Painter"}}}}
        yield Message.Directory, "", about
        for number, address in enumerate(text.extract_iter(page, '<img class="picture" src="', '"'), 1):
            address = text.unescape(address)
            yield Message.Url, address, text.nameext_from_url(address, {{**about, "num": number}})


class LocalPixivExtractor(Extractor):
    category = "pixiv"
    archive_fmt = "{{id}}{{suffix}}.{{extension}}"
    root = "https://www.pixiv.net"

    def post(self, user, number, title, at):
        return {{
            "id": int(f"{{user}}{{number:06d}}"),
            "title": title,
            "date": datetime.fromtimestamp(at, timezone.utc).replace(tzinfo=None),
            "user": {{"id": int(user), "account": f"painter{{user}}", "name": f"Painter {{user}}"}},
        }}

    def files(self, about, number):
        yield Message.Directory, "", about
        for page in range(1 + number % 3):
            address = f"{base}/picture/640x480.jpg?n={{about['id']}}_p{{page}}"
            yield Message.Url, address, text.nameext_from_url(address, {{**about, "num": page, "suffix": f"_p{{page}}"}})


class LocalPixivUserExtractor(LocalPixivExtractor):
    subcategory = "user"
    pattern = r"https?://www\\.pixiv\\.net/(?:en/)?users/(\\d+)/?$"
    example = "https://www.pixiv.net/en/users/12345"

    def items(self):
        yield Message.Queue, f"{{self.root}}/users/{{self.groups[0]}}/artworks", {{"_extractor": LocalPixivArtworksExtractor}}


class LocalPixivArtworksExtractor(LocalPixivExtractor):
    subcategory = "artworks"
    pattern = r"https?://www\\.pixiv\\.net/(?:en/)?users/(\\d+)/artworks/?$"
    example = "https://www.pixiv.net/en/users/12345/artworks"

    def items(self):
        user = self.groups[0]
        address = f"{base}/channel/pixiv{{user}}/posts.json"
        while address:
            page = self.request(address).json()
            for item in page["items"]:
                yield from self.files(self.post(user, item["number"], item["title"], item["at"]), item["number"])
            address = page["next"]


class LocalPixivWorkExtractor(LocalPixivExtractor):
    subcategory = "work"
    pattern = r"https?://www\\.pixiv\\.net/(?:en/)?artworks/(\\d+)(\\d{{6}})$"
    example = "https://www.pixiv.net/artworks/12345"

    def items(self):
        user, number = self.groups[0], int(self.groups[1])
        yield from self.files(self.post(user, number, f"Item {{number}} of pixiv{{user}}", 1767225600 + 3600 * number), number)
'''


def write_plugin(directory: Path, base: str) -> Path:
    """Write the extractors for the posts of the media site at `base` (`http://127.0.0.1:PORT`) and for pixiv's into `directory`.

    Returns what to give as a directory of plugins: gallery-dl's are looked for as `*/gallery_dl_plugins` in it, one level down,
    as yt-dlp's are as `*/yt_dlp_plugins`: one directory serves both.
    """
    target = directory / "gallery" / _MODULE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_SOURCE.format(base=base, pattern=base.replace(".", r"\.")))
    return directory
