"""The JSON Schema of a file for --catalogue, made from the specs; catalogue.schema.json is this, checked in.

What a schema cannot say (placeholders, that every setting is honoured or refused) is checked in read.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bench.catalogue.serving import ALL_TRANSPORTS, ALL_WIRES
from bench.spec import Profile, ServerSpec


def catalogue_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of servers.toml, profiles.toml and a user's own file, read as JSON."""
    _, definitions = msgspec.json.schema_components([ServerSpec, Profile], ref_template="#/$defs/{name}")
    for name in ("ServerSpec", "Profile"):
        # The name is the table's, not a field in it.
        del definitions[name]["properties"]["name"]
        definitions[name]["required"].remove("name")
    server = definitions["ServerSpec"]
    server["properties"]["like"] = {
        "type": "string",
        "description": "an entry before this one, from which all is taken that is not said here",
    }
    # msgspec leaves the names out.
    for kind, field, names in (
        ("ServerSpec", "listen", ALL_TRANSPORTS),
        ("ServerSpec", "protocols", ALL_WIRES),
        ("ProtocolSetup", "unsupported_over", ALL_TRANSPORTS),
    ):
        definitions[kind]["properties"][field]["propertyNames"] = {"enum": list(names)}
    required = server.pop("required")
    server["anyOf"] = [
        *({"required": [*required, made_of]} for made_of in ("environment_group", "requirements")),
        {"required": ["like"]},
    ]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "asgibench: a catalogue of servers and profiles",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "servers": _tables("ServerSpec"),
            "profiles": _tables("Profile"),
            "default_servers": {"type": "array", "items": {"type": "string"}},
        },
        "$defs": definitions,
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))  # tuples become lists
    return plain


def _tables(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z0-9][a-z0-9.+-]*$"},
        "additionalProperties": {"$ref": f"#/$defs/{name}"},
    }
