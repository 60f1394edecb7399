"""The stand-in for a site of pictures, as a directory that can be given to gallery-dl."""

from __future__ import annotations

from pathlib import Path

_MODULE = Path("gallery_dl_plugins") / "local_gallery.py"
_SOURCE = '''"""Written by `sandbox.gallery.write_plugin`: extracts the posts of the local media site, and nothing else."""

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
'''


def write_plugin(directory: Path, base: str) -> Path:
    """Write the extractor for the posts of the media site at `base` (`http://127.0.0.1:PORT`) into `directory`.

    Returns what to give as a directory of plugins: gallery-dl's are looked for as `*/gallery_dl_plugins` in it, one level down,
    as yt-dlp's are as `*/yt_dlp_plugins`: one directory serves both.
    """
    target = directory / "gallery" / _MODULE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_SOURCE.format(pattern=base.replace(".", r"\.")))
    return directory
