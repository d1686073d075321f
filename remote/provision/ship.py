"""What travels to the hosts, in the same tree there as here: our programs and the messages' types."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bench/wire", "remote/onhost", "loadgen/onhost", "testapp")
PACKAGES = ("bench", "remote", "loadgen")
SUFFIXES = (".py", ".sql")


def travelling_files() -> dict[str, bytes]:
    """{path below the shipped folder: content} of all that runs on hosts."""
    packages = [ROOT / name / "__init__.py" for name in PACKAGES]
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in sorted([*packages, *files])}
