"""The OpenAPI 3.1 document of an `Api`: every endpoint with every status that it can give."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from service.errors import MagpieError
from webapi.auth import CallerKind
from webapi.contract import ALLOWED, Api, Endpoint
from webapi.parameters import FORM, JSON, MULTIPART, BodyPart, Value
from webapi.problems import NOT_AUTHENTICATED, status_of

Schema = dict[str, Any]
_Mode = Literal["validation", "serialization"]
_REF = "#/components/schemas/{model}"

SECURITY_SCHEMES: Mapping[str, Schema] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A log-in token or an API key."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""How callers prove who they are. A trusted caller on the same machine needs neither."""


def document(api: Api) -> Schema:
    """The whole document, ready for JSON."""
    schemas = _Schemas()
    for endpoint in api.endpoints:
        _collect(schemas, endpoint)
    schemas.resolve()
    paths: dict[str, Schema] = {}
    for endpoint in api.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(schemas, endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": api.version, "description": api.description},
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": dict(SECURITY_SCHEMES)},
    }


@dataclass
class _Schemas:
    """The schemas of all types, made together so that each model has one name in the whole document."""

    asked: dict[tuple[int, _Mode], TypeAdapter[Any]] = field(default_factory=dict)
    found: dict[tuple[int, _Mode], Schema] = field(default_factory=dict)
    components: Schema = field(default_factory=dict)
    adapters: dict[Any, TypeAdapter[Any]] = field(default_factory=dict)

    def ask(self, adapter: TypeAdapter[Any], mode: _Mode) -> None:
        self.asked[id(adapter), mode] = adapter

    def resolve(self) -> None:
        asked = [(key[0], key[1], adapter) for key, adapter in self.asked.items()]
        found, rest = TypeAdapter.json_schemas(asked, ref_template=_REF)
        self.found = {(key[0], key[1]): schema for key, schema in found.items()}
        self.components = rest.get("$defs", {})

    def of(self, adapter: TypeAdapter[Any], mode: _Mode) -> Schema:
        return self.found[id(adapter), mode]

    def of_type(self, key: Any, hint: Any = None) -> TypeAdapter[Any]:
        """One adapter a key, kept: its identity is the key of its schema."""
        if key not in self.adapters:
            self.adapters[key] = TypeAdapter(key if hint is None else hint)
        return self.adapters[key]


def _value_adapter(schemas: _Schemas, endpoint: Endpoint, where: str, value: Value) -> TypeAdapter[Any]:
    hint = value.hint if value.required else Annotated[value.hint, Field(default=value.default)]
    return schemas.of_type((endpoint.operation_id, where, value.name), hint)


def _collect(schemas: _Schemas, endpoint: Endpoint) -> None:
    for part in endpoint.parts:
        for value in part.values:
            schemas.ask(_value_adapter(schemas, endpoint, part.where, value), "validation")
    if endpoint.body and endpoint.body.argument:
        schemas.ask(endpoint.body.adapter, "validation")
    elif endpoint.body:
        for value in endpoint.body.values:
            schemas.ask(_value_adapter(schemas, endpoint, "body", value), "validation")
    for answer in endpoint.answers.values():
        if answer.adapter:
            schemas.ask(answer.adapter, "serialization")
    for status in {endpoint.errors.status_of(status) for status, _ in _failures(endpoint)}:
        schemas.ask(schemas.of_type(endpoint.errors.content(status)[1]), "serialization")


def _operation(schemas: _Schemas, endpoint: Endpoint) -> Schema:
    operation: Schema = {"operationId": endpoint.operation_id, "summary": endpoint.summary, "tags": list(endpoint.tags)}
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.parts:
        operation["parameters"] = [_parameter(schemas, endpoint, part.where, value) for part in endpoint.parts for value in part.values]
    if endpoint.body:
        operation["requestBody"] = _request_body(schemas, endpoint, endpoint.body)
    operation["responses"] = _responses(schemas, endpoint)
    kinds = {name: getattr(endpoint.access, name) for name in ("anonymous", "local", "owner", "other", "superuser")}
    operation["x-access"] = kinds | ({"signed": ALLOWED} if endpoint.access.signed else {})
    if not endpoint.access.is_public:
        # The empty requirement stands for local trust, which no scheme of the standard describes.
        operation["security"] = [{name: []} for name in SECURITY_SCHEMES] + [{}]
    return operation


def _parameter(schemas: _Schemas, endpoint: Endpoint, where: str, value: Value) -> Schema:
    schema = _without_null(schemas.of(_value_adapter(schemas, endpoint, where, value), "validation"))
    return {"name": value.name, "in": where, "required": value.required or where == "path", "schema": schema}


def _request_body(schemas: _Schemas, endpoint: Endpoint, body: BodyPart) -> Schema:
    if body.argument:
        schema = schemas.of(body.adapter, "validation")
    else:
        fields = {v.name: _without_null(schemas.of(_value_adapter(schemas, endpoint, "body", v), "validation")) for v in body.values}
        schema = {"type": "object", "properties": fields, "required": [value.name for value in body.values if value.required]}
        if body.only_known:
            schema["additionalProperties"] = False
    # A form may come as multipart too, but nobody needs to know two ways.
    shown = [media_type for media_type in body.accepts if media_type != MULTIPART or FORM not in body.accepts]
    return {"required": body.required, "content": {media_type: {"schema": schema} for media_type in shown}}


def _without_null(schema: Schema) -> Schema:
    """Outside JSON there is no null: absent is absent."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if not kinds or len(kinds) == len(schema["anyOf"]):
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf" and not (name == "default" and value is None)}
    return rest | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})


def _responses(schemas: _Schemas, endpoint: Endpoint) -> Schema:
    responses: Schema = {}
    for status, answer in sorted(endpoint.answers.items()):
        response: Schema = {"description": HTTPStatus(status).phrase}
        if answer.adapter:
            response["content"] = {JSON: {"schema": schemas.of(answer.adapter, "serialization")}}
        elif answer.media_type:
            response["content"] = {answer.media_type: {"schema": {}}}
        responses[str(status)] = response
    for status, why in _failures(endpoint):
        _add_failure(schemas, endpoint, responses, endpoint.errors.status_of(status), why)
    return responses


def _add_failure(schemas: _Schemas, endpoint: Endpoint, responses: Schema, status: int, why: str) -> None:
    media_type, model = endpoint.errors.content(status)
    content = {media_type: {"schema": schemas.of(schemas.of_type(model), "serialization")}}
    response = responses.setdefault(str(status), {"description": why, "content": content})
    if status in endpoint.answers:
        # The endpoint gives this status on purpose too: both bodies are possible.
        response.setdefault("content", {}).setdefault(media_type, content[media_type])
    elif why not in response["description"]:
        response["description"] += f" · {why}"
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        response["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}


def _failures(endpoint: Endpoint) -> Iterable[tuple[int, str]]:
    """Every status but the answers', with its reason; a status may come twice."""
    yield from ((status_of(fault), _reason(fault)) for fault in endpoint.faults)
    yield from ((status, HTTPStatus(status).phrase) for status in endpoint.failures)
    for kind in CallerKind:
        verdict = endpoint.access.verdict(kind)
        if verdict != ALLOWED:
            yield verdict, NOT_AUTHENTICATED if verdict == HTTPStatus.UNAUTHORIZED.value else HTTPStatus(verdict).phrase
    if endpoint.asks_who:
        yield 401, NOT_AUTHENTICATED
        yield 429, "Too many requests"
    if endpoint.access.signed:
        yield 403, "The signature is wrong or too old"
    if "{" in endpoint.path:
        yield 404, "There is nothing of that name"
    if endpoint.body:
        yield 400, "The body cannot be read"
        yield 413, "The body is too large"
        yield 415, "The body's Content-Type is not accepted"
    if endpoint.parts or (endpoint.body and not endpoint.body.raw):
        yield 422, "Some values are not valid"
    yield 500, "Something went wrong on our side"
    if not endpoint.while_not_ready:
        yield 503, "The service is starting or stopping"


def _reason(fault: type[MagpieError]) -> str:
    return (inspect.getdoc(fault) or fault.code).split("\n", maxsplit=1)[0]
