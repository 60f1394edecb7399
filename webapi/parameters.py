"""What a handler asks for: marks say where each value comes from, and each place is read and validated at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, BeforeValidator, InstanceOf, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import from_json

from webapi.problems import FieldError, invalid, malformed, not_found, unsupported_media_type

JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"


# --- marks: what stands in Annotated[…] -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """Where a value comes from. `name` is its name on the wire; default is the argument's."""

    name: str | None = None
    where: ClassVar[str]


class Path(Mark):
    where = "path"


class Query(Mark):
    where = "query"


class Header(Mark):
    where = "header"


class Cookie(Mark):
    where = "cookie"


@dataclass(frozen=True)
class Body(Mark):
    """The whole body: a model, sent in one of these ways. Without a mark, a model is read from JSON."""

    accepts: tuple[str, ...] = (JSON,)
    where = "body"


class Form(Mark):
    """One field of a form, URL-encoded or multipart."""

    where = "form"


class File(Mark):
    """One file of a multipart form; the argument is an `Upload`."""

    where = "file"


@dataclass(frozen=True)
class Raw(Mark):
    """The body's bytes, unread: the endpoint validates them itself. `model` is for the document only."""

    model: Any = None
    media_type: str = JSON
    where = "raw"


@dataclass(frozen=True)
class Streamed(Raw):
    """A body too large for memory: the endpoint reads it from the request itself, and the argument is empty."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent. `filename` is the sender's word for it: never a path to write to."""

    filename: str
    content_type: str
    content: bytes


def upload_hint() -> Any:
    """The type of a file's field: an `Upload`, described as bytes."""
    return Annotated[InstanceOf[Upload], WithJsonSchema({"type": "string", "contentMediaType": "application/octet-stream"})]


def _only_numbers(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("a number is wanted, not text, true or false")  # noqa: TRY004 - what pydantic expects of a validator
    return value


WHOLE = BeforeValidator(_only_numbers)
"""Makes an `int` a whole number in JSON: a plain one takes `true` for 1 and `"2"` for 2, which its schema forbids. It stands behind the
bounds, or they are not in the schema: `Annotated[int, Field(ge=1), WHOLE]`.
"""
Integer = Annotated[int, WHOLE]
"""A whole number in JSON without bounds."""


# --- parts: all values of one place ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One argument: its name on the wire and the type that its text must have."""

    argument: str
    name: str
    hint: Any
    required: bool
    default: Any = None
    many: bool = False
    is_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The values of one place (path, query, header, cookie): validated by one model, so that every error is reported."""

    where: str
    values: tuple[Value, ...]
    model: type[BaseModel]

    async def read(self, request: web.Request) -> dict[str, Any]:
        """The arguments. Raises `pydantic.ValidationError`, `Refused`."""
        given = self._given(request)
        if self.where == "path" and any("\0" in value for value in given.values()):
            raise not_found()
        return _arguments(self.model.model_validate(_without_nul(given, self.where)))

    def _given(self, request: web.Request) -> dict[str, Any]:
        match self.where:
            case "path":
                return dict(request.match_info)
            case "query":
                return _picked(self.values, request.query)
            case "header":
                return _picked(self.values, request.headers)
            case _:
                return dict(request.cookies)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPart:
    """The request's body: one argument, or (without `argument`) an argument for each field of a form."""

    accepts: tuple[str, ...]
    required: bool
    adapter: TypeAdapter[Any]
    argument: str = ""
    default: Any = None
    values: tuple[Value, ...] = ()
    raw: bool = False
    streamed: bool = False
    only_known: bool = False
    """Whether fields that nobody asked for are refused: in uploads, where they are a mistake."""
    where: str = field(default="body", init=False)

    async def read(self, request: web.Request) -> dict[str, Any]:
        """The arguments. Raises `pydantic.ValidationError`, `Refused`."""
        if self.streamed:
            return {self.argument: b""}
        if not request.body_exists and not self.raw:
            if self.required:
                raise invalid([{"loc": ["body"], "msg": "Field required", "type": "missing"}])
            return {self.argument: self.default} if self.argument else {}
        if request.content_type not in self.accepts:
            raise unsupported_media_type(" or ".join(self.accepts))
        if self.raw:
            return {self.argument: await request.read()}
        got = self._from_json(await request.read()) if request.content_type == JSON else await self._from_form(request)
        return {self.argument: got} if self.argument else _arguments(got)

    def _from_json(self, raw: bytes) -> Any:
        if b"NaN" in raw or b"Infinity" in raw:
            _strictly(raw)
        try:
            got = self.adapter.validate_json(raw)
        except ValidationError as wrong:
            if any(error["type"] == "json_invalid" for error in wrong.errors(include_url=False)):
                raise malformed("The body is not valid JSON") from None
            raise
        if b"\\u0000" in raw:
            _refuse_nul(json.loads(raw), ("body",))
        return got

    async def _from_form(self, request: web.Request) -> Any:
        try:
            sent = await request.post()
        except web.HTTPException:
            raise
        # aiohttp's readers raise all of these for a body that breaks the format: no boundary, a broken part header,
        # an unknown charset or transfer encoding, bytes that are not of the charset.
        except (ValueError, LookupError, RuntimeError, AssertionError, HttpProcessingError, web.RequestPayloadError):
            raise malformed("The body is not a valid form") from None
        try:
            given = {name: _uploaded(value) for name, value in _picked(self.values, sent).items()}
            if self.only_known:
                given |= dict.fromkeys({*sent} - {*given})
        finally:
            for value in sent.values():
                if isinstance(value, web.FileField):
                    value.file.close()
        return self.adapter.validate_python(_without_nul(given, "body"))


def _strictly(raw: bytes) -> None:
    try:
        from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise malformed("The body is not valid JSON") from None


def _picked(values: Sequence[Value], given: Any) -> dict[str, Any]:
    return {value.name: given.getall(value.name) if value.many else given[value.name] for value in values if value.name in given}


def _uploaded(value: Any) -> Any:
    if isinstance(value, list):
        return [_uploaded(one) for one in value]
    if isinstance(value, web.FileField):
        return Upload(value.filename, value.content_type, value.file.read())
    return bytes(value) if isinstance(value, bytearray) else value


def _arguments(model: BaseModel) -> dict[str, Any]:
    """The validated fields, by the handler's names for them."""
    return vars(model)


def _without_nul(given: dict[str, Any], where: str) -> dict[str, Any]:
    for name, value in given.items():
        if type(value) is not str or "\0" in value:
            _refuse_nul(value, (where, name))
    return given


def _refuse_nul(value: Any, loc: tuple[str | int, ...]) -> None:
    """Databases and file systems choke on NUL in text: no handler ever sees one. Raises `Refused` (422)."""
    if isinstance(value, str) and "\0" in value:
        raise invalid([{"loc": list(loc), "msg": "Text must not contain the NUL character", "type": "string_nul"}])
    if isinstance(value, list | tuple):
        for place, one in enumerate(value):
            _refuse_nul(one, (*loc, place))
    if isinstance(value, dict):
        for name, one in value.items():
            _refuse_nul(name, loc)
            _refuse_nul(one, (*loc, name))


def field_errors(wrong: ValidationError, where: str) -> list[FieldError]:
    """Without the input, which may be a secret."""
    found = wrong.errors(include_url=False, include_input=False, include_context=False)
    return [{"loc": [where, *error["loc"]], "msg": error["msg"], "type": error["type"]} for error in found]
