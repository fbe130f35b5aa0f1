"""OpenAPI 3.1 of the node, from the Structs that validate its requests and the table of routes."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from shared.api.problem import CONTENT_TYPE, Problem
from shared.api.route import Route

VERSION = "3.1.0"
REF = "#/components/schemas/{name}"

_PARAMETER = re.compile(r"\{(?P<name>\w+)(?::(?P<pattern>(?:[^{}]|\{[^{}]*\})+))?\}")

HEADERS = {
    "ETag": "The record's ETag; give it back as If-Match or, without quotes, as seen",
    "Location": "Path of the new record",
    "Skerry-Position": "Position to give /api/live as after",
}


def describe(routes: Iterable[Route], *, version: str) -> dict[str, Any]:
    """Return the description of a node that serves these routes."""
    served = list(routes)
    types = [Problem, *(t for route in served for t in _types(route))]
    schemas, components = msgspec.json.schema_components(types, schema_hook=_hook, ref_template=REF)
    known = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in served:
        place = paths.setdefault(_PARAMETER.sub(r"{\g<name>}", route.path), {})
        place[route.method.lower()] = _operation(route, known, components)
    return {
        "openapi": VERSION,
        "info": {"title": "Skerry", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"token": []}],
    }


def _types(route: Route) -> Iterable[Any]:
    return [t for t in (route.body, route.query, route.answer) if t is not None]


def _hook(kind: type) -> dict[str, Any]:
    if kind is msgspec.UnsetType:
        return {"not": {}}
    raise NotImplementedError(kind)


def _operation(route: Route, known: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": [*_in_path(route), *_in_query(route, known, components), *_in_head(route)],
        "responses": {
            str(route.status): _success(route, known, "Done"),
            **({"200": _success(route, known, route.known)} if route.known else {}),
            "default": {
                "description": "A problem (RFC 9457)",
                "content": {CONTENT_TYPE: {"schema": known[repr(Problem)]}},
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": {"schema": known[repr(route.body)]}},
        }
    elif route.body_type is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {route.body_type: {"schema": {"type": "string"}}},
        }
    if route.is_open:
        operation["security"] = []
    elif route.takes_password:
        operation["security"] = [{"token": []}, {"password": []}]
    return operation


def _success(route: Route, known: dict[str, Any], words: str) -> dict[str, Any]:
    success: dict[str, Any] = {"description": words}
    if route.answer is not None:
        success["content"] = {route.answer_type: {"schema": known[repr(route.answer)]}}
    elif route.answer_type != "application/json":
        success["content"] = {route.answer_type: {}}
    if route.headers:
        success["headers"] = {
            name: {"description": HEADERS[name], "schema": {"type": "string"}}
            for name in route.headers
        }
    return success


def _in_path(route: Route) -> list[dict[str, Any]]:
    found = []
    for match in _PARAMETER.finditer(route.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 200}
        if match["pattern"]:
            schema["pattern"] = f"^{match['pattern']}$"
        found.append({"name": match["name"], "in": "path", "required": True, "schema": schema})
    return found


def _in_query(
    route: Route, known: dict[str, Any], components: dict[str, Any]
) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    name = known[repr(route.query)]["$ref"].rpartition("/")[2]
    shape = components[name]
    found = []
    for field, schema in shape["properties"].items():
        parameter = {"name": field, "in": "query", "schema": schema}
        if schema.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        found.append(parameter)
    return found


def _in_head(route: Route) -> list[dict[str, Any]]:
    names = [("Idempotency-Key", {"type": "string", "pattern": "^[ -~]{1,200}$"})]
    found = names if route.is_write and "/api/" in route.path else []
    if route.is_conditional:
        found = [*found, ("If-Match", {"type": "string"})]
    return [{"name": name, "in": "header", "schema": schema} for name, schema in found]


def _name(route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", _PARAMETER.sub(r"\g<name>", route.path)).strip("_")
    return f"{route.method.lower()}_{words or 'board'}"


def _tag(path: str) -> str:
    parts = path.split("/")
    return parts[2] if parts[1] == "api" else "node"
