"""Files that were sent, by anybody. Their bytes lie on disk."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sandbox.bot_api.errors import Refused, bad_request
from sandbox.bot_api.store import Store
from sandbox.bot_api.values import Json

THUMBNAIL = "thumbnail"
_FOLDERS = {"photo": "photos", "audio": "music", "video": "videos", "voice": "voice", "document": "documents", "animation": "animations"}
_NAMES = {
    "photo": "Photo", "audio": "Audio", "video": "Video", "voice": "VoiceNote", "document": "Document", "animation": "Animation",
    "video_note": "VideoNote", "sticker": "Sticker", THUMBNAIL: "Thumbnail",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file. `facts` are the fields of its Bot API object but ids and size; `said` is all that the sender said about it.

    `thumbnail` and `covers` name other stored files. `place` is its name on disk, `size` is in bytes.
    """

    unique: str
    kind: str
    place: str
    size: int
    number: int
    name: str = ""
    facts: Json = field(default_factory=dict)
    said: Json = field(default_factory=dict)
    thumbnail: str | None = None
    covers: tuple[str, ...] = ()

    @property
    def shown_path(self) -> str:
        """The `file_path` of the Bot API."""
        return f"{_FOLDERS.get(self.kind, f'{self.kind}s')}/file_{self.number}{Path(self.name).suffix}"


class Files:
    """Finds files by what they are called: a file id, which belongs to one bot, or a `file_path`."""

    def __init__(self, *, directory: Path, bot_id: int, store: Store) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._bot_id, self._store = bot_id, store
        self._files: dict[str, StoredFile] = {}
        self._by_path: dict[str, StoredFile] = {}
        self._number = 0
        for _, row in store.rows("file"):
            self._remember(StoredFile(**{**row, "covers": tuple(row["covers"])}))

    def new_path(self) -> Path:
        """A place on disk for bytes to come."""
        return self.directory / secrets.token_hex(12)

    def take_in(self, content: Path | bytes) -> Path:
        """A copy of this in a place of its own."""
        path = self.new_path()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)
        return path

    def add(
        self,
        path: Path,
        *,
        kind: str,
        name: str = "",
        facts: Json | None = None,
        said: Json | None = None,
        thumbnail: StoredFile | None = None,
        cover: StoredFile | None = None,
    ) -> StoredFile:
        """What lies at this path of ours, as a file of that kind."""
        self._number += 1
        stored = StoredFile(
            unique=f"Ag{secrets.token_hex(7)}",
            kind=kind,
            place=path.name,
            size=path.stat().st_size,
            number=self._number,
            name=name,
            facts=facts or {},
            said=said or {},
            thumbnail=None if thumbnail is None else thumbnail.unique,
            covers=() if cover is None else (cover.unique,),
        )
        self._remember(stored)
        self._store.put("file", stored.unique, asdict(stored))
        return stored

    def file_id(self, stored: StoredFile) -> str:
        return f"{_NAMES[stored.kind]}-{self._bot_id}-{stored.unique}"

    def find(self, file_id: str) -> StoredFile | None:
        """The file that this bot knows under this id. Another bot's ids mean nothing to it."""
        kind, bot, unique = (*file_id.split("-"), "", "", "")[:3]
        stored = self._files.get(unique)
        return stored if stored is not None and bot == str(self._bot_id) and kind == _NAMES[stored.kind] else None

    def find_as(self, file_id: str, kind: str) -> StoredFile:
        """For sending again, which cannot change the kind. Raises `Refused`."""
        if file_id.startswith(("http://", "https://")):
            raise bad_request("failed to get HTTP URL content")
        stored = self.find(file_id)
        if stored is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        if stored.kind != kind:
            raise self._wrong_kind(stored.kind, kind)
        return stored

    def by_path(self, shown_path: str) -> StoredFile | None:
        return self._by_path.get(shown_path)

    def on_disk(self, stored: StoredFile) -> Path:
        return self.directory / stored.place

    def as_json(self, stored: StoredFile) -> Json:
        """The Bot API object of its kind, with ids for this bot."""
        about: Json = {"file_id": self.file_id(stored), "file_unique_id": stored.unique, **stored.facts, "file_size": stored.size}
        if stored.thumbnail is not None:
            about["thumbnail"] = self.as_json(self._files[stored.thumbnail])
        if stored.covers:
            about["cover"] = [self.as_json(self._files[unique]) for unique in stored.covers]
        return about

    def fields(self, stored: StoredFile) -> Json:
        """As fields of a message. An animation is a document as well, for old bots."""
        about = self.as_json(stored)
        if stored.kind == "photo":
            return {"photo": [about]}
        return {stored.kind: about, "document": about} if stored.kind == "animation" else {stored.kind: about}

    def renewed(self, about: Json) -> StoredFile:
        """The file behind a media object of any message, perhaps one that another bot sent."""
        return self._files[about["file_unique_id"]]

    def _wrong_kind(self, real: str, wanted: str) -> Refused:
        return bad_request(f"can't use file of type {_NAMES[real]} as {_NAMES[wanted]}")

    def _remember(self, stored: StoredFile) -> None:
        self._files[stored.unique] = stored
        self._by_path[stored.shown_path] = stored
        self._number = max(self._number, stored.number)
