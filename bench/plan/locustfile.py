"""A user's own locustfile, as far as it can be known without running it: it is compiled, never imported."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.spec import Endpoint


class UserLocustfile(msgspec.Struct, frozen=True):
    """``user_classes`` maps each User class to the class of Locust's that it comes from."""

    path: str
    name: str
    sha256: str
    user_classes: dict[str, str]

    @property
    def title(self) -> str:
        """For a reader: the name, which version of it, and what its users are."""
        classes = ", ".join(f"{name} ({base})" for name, base in self.user_classes.items())
        return f"the user’s locustfile {self.name} (sha256 {self.sha256[:12]}), users: {classes}"

    @property
    def endpoint(self) -> Endpoint:
        """What stands for it in the plan: an endpoint without a path."""
        name = re.sub(r"[^A-Za-z0-9_.]+", "-", Path(self.name).stem).strip("-.") or "locustfile"
        return Endpoint(name, "", "", None, description=self.title)


def read_locustfile(path: Path, names_taken: Collection[str]) -> UserLocustfile:
    """Raises UsageError for a file that isn't there, isn't Python or has no User class.

    So does a file called as one of ``names_taken``.
    """
    source = _read(path)
    try:
        compile(source, path.name, "exec", dont_inherit=True)
        bases = _user_classes(ast.parse(source))
    except SyntaxError as error:
        raise UsageError(
            f"{path.name}, line {error.lineno}: {error.msg}", remedy="Mend the locustfile's syntax"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path.name}: {error}", remedy="Give a Python file for --locustfile") from error
    if not bases:
        raise UsageError(
            f"{path.name} has no User class",
            remedy="See loadgen/examples/fast_http_user.py for a file that has one",
        )
    found = UserLocustfile(str(path.resolve()), path.name, hashlib.sha256(source).hexdigest(), bases)
    if found.endpoint.name in names_taken:
        raise UsageError(
            f"{path.name} is called as one of our endpoints is",
            remedy="Give the file another name: its results stand under it",
        )
    return found


def source_of(locustfile: UserLocustfile) -> bytes:
    """The file's content, as it was planned. Raises UsageError if it has gone or changed since."""
    source = _read(Path(locustfile.path))
    if hashlib.sha256(source).hexdigest() != locustfile.sha256:
        raise UsageError(
            f"{locustfile.name} has changed since this benchmark was planned",
            remedy="Put the old file back, or begin another benchmark without --resume",
        )
    return source


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the locustfile {path} can't be read ({error.strerror})", remedy="Give one file for --locustfile"
        ) from error


def _user_classes(tree: ast.Module) -> dict[str, str]:
    """By name: a base called ``...User``, under its own name, an alias, or through a class of the file."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [names.get(name, name) for name in map(_last_name, node.bases)]
        own = next((base for base in bases if base.endswith("User")), None)
        if own is not None:
            names[node.name] = own
            if not _is_abstract(node):
                found[node.name] = own
    return found


def _last_name(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def _is_abstract(node: ast.ClassDef) -> bool:
    return any(
        isinstance(line, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "abstract" for target in line.targets)
        and isinstance(line.value, ast.Constant)
        and line.value.value is True
        for line in node.body
    )
