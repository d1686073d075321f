"""An existing database, as ``asgibench_database_url`` names it."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from bench.environment.hosts import ExistingDatabase

SCHEMES = ("postgresql", "postgres")
PORT = 5432


def parse_database_url(text: str) -> ExistingDatabase:
    """``postgresql://user:password@host[:port]/database[?sslmode=...]``. Raises ValueError, whose words
    never have the URL in them: it holds a password."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port or PORT
    except ValueError as error:
        raise ValueError("its host or port can't be read") from error
    if parts.scheme not in SCHEMES:
        raise ValueError(f"it begins with '{parts.scheme}:'" if parts.scheme else "it has no scheme")
    if not parts.hostname or "," in parts.netloc:
        raise ValueError("it names no single host")
    if any(key.lower() == "host" for key, _ in parse_qsl(parts.query)):
        raise ValueError("it names its host in the query")
    if not parts.username:
        raise ValueError("it names no user")
    name = parts.path.strip("/")
    if not name or "/" in name:
        raise ValueError("it names no database")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return ExistingDatabase(url=text.strip(), shown=f"{host}:{port}/{name}")
