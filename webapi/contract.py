"""Typed endpoints: a handler's signature gives the parsing, the validation, the answer and the OpenAPI document.

    api = Api(title="Magpie", version="0.1")

    @api.route("GET", "/api/jobs/{job_id}", access=OWNERS, faults=[JobNotFound])
    async def get_job(job_id: str, caller: Caller) -> JobView:
        ...

Arguments: `request: web.Request` and `caller: Caller` by their type; a name in the path's braces from the path; a model from
the JSON body; what carries a mark of `webapi.parameters` from there; all else from the query.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import NoneType
from typing import Any, Final, Literal, TypeVar, cast, get_type_hints

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from service.errors import MagpieError
from webapi.auth import Caller, CallerKind
from webapi.parameters import BodyPart, Part, field_errors
from webapi.problems import PROBLEMS, ErrorShape, FieldError, Refused, invalid
from webapi.signatures import parts_of

Handler = Callable[..., Awaitable[Any]]
H = TypeVar("H", bound=Handler)

# --- who may ----------------------------------------------------------------------------------------------------------

ALLOWED: Final = "allowed"
Verdict = Literal["allowed", 401, 403, 404]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What each kind of caller gets: `ALLOWED`, or the status that turns it away. No defaults: every endpoint decides.

    - `owner` is an account that the thing in question belongs to (or any account, where nothing does), `other` another
      one. The layer cannot tell them apart: `other` is what the use case does, and what the matrix test looks for.
    - `signed`: a signature in the query (`e`, `s`) lets anybody through to the handler, which must check it.
    - `session`: the header `X-Session-ID` lets a caller whom nobody knows through to the handler, which must check it.
    - `metrics`: API keys of that scope may use it.
    - `reads`: it changes nothing, though its method could: keys that may only read may use it.
    - `reveals`: it changes nothing, but whoever has the answer can do more than read: keys that may only read may not use it.
    """

    anonymous: Verdict
    local: Verdict
    owner: Verdict
    other: Verdict
    superuser: Verdict
    signed: bool = False
    session: bool = False
    metrics: bool = False
    reads: bool = False
    reveals: bool = False

    def verdict(self, kind: CallerKind) -> Verdict:
        return cast("Verdict", self.owner if kind is CallerKind.USER else getattr(self, kind.value))

    @property
    def is_public(self) -> bool:
        return all(self.verdict(kind) == ALLOWED for kind in CallerKind)


EVERYBODY = Access(anonymous=ALLOWED, local=ALLOWED, owner=ALLOWED, other=ALLOWED, superuser=ALLOWED)
TRUSTED = Access(anonymous=401, local=ALLOWED, owner=403, other=403, superuser=403)
"""The built-in chat: this machine's own user alone."""
ACCOUNTS = Access(anonymous=401, local=ALLOWED, owner=ALLOWED, other=ALLOWED, superuser=ALLOWED)
"""Whoever is known; what they get is their own."""
OWNERS = Access(anonymous=401, local=ALLOWED, owner=ALLOWED, other=404, superuser=ALLOWED)
"""Whom the thing belongs to; to others it does not exist."""
SUPERUSERS = Access(anonymous=401, local=ALLOWED, owner=403, other=403, superuser=ALLOWED)


# --- what comes back --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with another status than the endpoint's usual one, or with headers."""

    body: Any
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """In `answers`: a body that is not JSON, sent by the handler as a `StreamResponse`."""

    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One documented status: JSON by `adapter`, or bytes of `media_type`, or (both None) no body."""

    adapter: TypeAdapter[Any] | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method on one path. Made by `Api.route` only."""

    method: str
    path: str
    handler: Handler
    operation_id: str
    summary: str
    description: str
    tags: tuple[str, ...]
    access: Access
    status: int
    answers: Mapping[int, Answer]
    faults: tuple[type[MagpieError], ...]
    failures: tuple[int, ...]
    errors: ErrorShape
    parts: tuple[Part, ...]
    body: BodyPart | None
    supplied: Mapping[str, type]
    """Arguments that the layer itself supplies, and their type: the request, the caller."""
    max_size: int | None
    while_not_ready: bool

    @property
    def asks_who(self) -> bool:
        """Whether it matters who calls. Where it does not, wrong credentials are not even looked at."""
        return not self.access.is_public or Caller in self.supplied.values()

    async def respond(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Parse, handle, render. Raises `Refused` and whatever the handler raises."""
        arguments = await self._arguments(request) if self.parts or self.body else {}
        for name, kind in self.supplied.items():
            arguments[name] = caller if kind is Caller else request
        return self._rendered(await self.handler(**arguments))

    async def _arguments(self, request: web.Request) -> dict[str, Any]:
        if self.max_size is not None:
            request = request.clone(client_max_size=self.max_size)
        arguments: dict[str, Any] = {}
        errors: list[FieldError] = []
        for part in (*self.parts, *((self.body,) if self.body else ())):
            try:
                arguments |= await part.read(request)
            except ValidationError as wrong:
                errors += field_errors(wrong, part.where)
            except Refused as refused:
                if refused.problem.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                    raise  # unlike wrong values, what cannot be read at all ends it here
                errors += refused.problem.errors
        if errors:
            raise invalid(errors)
        return arguments

    def _rendered(self, result: Any) -> web.StreamResponse:
        if isinstance(result, web.StreamResponse):
            return result
        status, headers = self.status, None
        if isinstance(result, Reply):
            status, headers, result = result.status or self.status, result.headers, result.body
        adapter = self.answers[status].adapter
        if adapter is None:
            return web.Response(status=status, headers=headers)
        return web.Response(body=adapter.dump_json(result), status=status, headers=headers, content_type="application/json")


# --- all endpoints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCase:
    """One cell of the access matrix: this kind of caller gets this verdict at this endpoint."""

    endpoint: Endpoint
    kind: CallerKind
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.endpoint.method} {self.endpoint.path} as {self.kind}: {self.verdict}"

    def holds(self, status: int) -> bool:
        """Whether an answer with this status is what the verdict says."""
        return status not in {401, 403} if self.verdict == ALLOWED else status == self.endpoint.errors.status_of(self.verdict)


class Api:
    """All endpoints of the service."""

    def __init__(self, *, title: str, version: str, description: str = "") -> None:
        self.title, self.version, self.description = title, version, description
        self.endpoints: list[Endpoint] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        access: Access,
        status: int = 200,
        tags: Sequence[str] = (),
        faults: Sequence[type[MagpieError]] = (),
        failures: Sequence[int] = (),
        answers: Mapping[int, Any] | None = None,
        errors: ErrorShape = PROBLEMS,
        max_size: int | None = None,
        while_not_ready: bool = False,
        operation_id: str | None = None,
    ) -> Callable[[H], H]:
        """Register the handler. It answers with and without a trailing slash, and to HEAD where it answers to GET.

        - `status` is the usual one; `answers` names the model (or `Content`, or None for no body) of every status the
          handler may answer with; by default it is `status` with the handler's return type.
        - `errors` is the shape of *every* error of this endpoint, also of those raised before the handler runs.
        - `faults` are the errors that the use case may raise, `failures` further statuses that it may fail with: for the document.
        - `max_size` bounds the body, in bytes, if not by the application's bound.
        - `while_not_ready`: answer also while the service starts or stops.

        Raises `TypeError` without an `Access`, or for a signature that cannot be read; `ValueError` for a second endpoint of
        the same name or place.
        """
        if not isinstance(access, Access):
            raise TypeError(f"{method} {path} does not say who may use it")

        def register(handler: H) -> H:
            supplied, parts, body, returned = _signature(handler, path)
            summary, _, description = (inspect.getdoc(handler) or "").partition("\n")
            endpoint = Endpoint(
                method=method.upper(),
                path=path.rstrip("/") or "/",
                handler=handler,
                operation_id=operation_id or _name(handler),
                summary=summary or _name(handler).replace("_", " ").capitalize(),
                description=description.strip(),
                tags=tuple(tags),
                access=access,
                status=status,
                answers={code: _answer(kind) for code, kind in (answers or {status: returned}).items()},
                faults=tuple(faults),
                failures=tuple(failures),
                errors=errors,
                parts=parts,
                body=body,
                supplied=supplied,
                max_size=max_size,
                while_not_ready=while_not_ready,
            )
            self._add(endpoint)
            return handler

        return register

    def _add(self, endpoint: Endpoint) -> None:
        for other in self.endpoints:
            if other.operation_id == endpoint.operation_id or (other.method, other.path) == (endpoint.method, endpoint.path):
                raise ValueError(f"{endpoint.operation_id} ({endpoint.method} {endpoint.path}) is there already")
        self.endpoints.append(endpoint)

    def matrix(self) -> Iterator[AccessCase]:
        """Every endpoint with every kind of caller that exists, and what must happen."""
        for endpoint in self.endpoints:
            for kind in CallerKind:
                yield AccessCase(endpoint=endpoint, kind=kind, verdict=endpoint.access.verdict(kind))


def _name(handler: Handler) -> str:
    return str(getattr(handler, "__name__", type(handler).__name__))


def _signature(handler: Handler, path: str) -> tuple[dict[str, type], tuple[Part, ...], BodyPart | None, Any]:
    hints = get_type_hints(handler, include_extras=True)
    parameters = dict(inspect.signature(handler).parameters)
    supplied: dict[str, type] = {}
    for name in [*parameters]:
        if name not in hints:
            raise TypeError(f"{_name(handler)}: {name} has no type")
        if hints[name] in {web.Request, Caller}:
            supplied[name] = hints[name]
            del parameters[name]
    parts, body = parts_of(parameters, hints, path)
    return supplied, parts, body, hints.get("return", NoneType)


def _answer(kind: Any) -> Answer:
    if isinstance(kind, Content):
        return Answer(media_type=kind.media_type)
    if kind in {None, NoneType}:
        return Answer()
    if isinstance(kind, type) and issubclass(kind, web.StreamResponse):
        return Answer(media_type="application/octet-stream")
    return Answer(adapter=TypeAdapter(kind))
