"""Servers with requirements of their own: uv resolves them once, for every system and Python, with hashes.

The lock is kept in a folder and taken from there the next time, so that versions stay until it is deleted.
The index is that of the user's pip (`pip config`), because pip downloads the wheels later.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.catalogue.own_lock import OwnLock, file_name
from bench.errors import ProvisionError
from bench.spec import ServerSpec
from remote.provision.lockfile import find_uv

RESOLVE_TIMEOUT_SECONDS = 300
OLDEST_PYTHON = "3.11"
PYPI = "https://pypi.org/simple"
# Later ones count more, as in pip itself.
PIP_SECTIONS = ("global", "download", ":env:")
# These are for environments of the user's, as pip's constraints are.
NOT_OURS = ("UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT")


def own_locks(servers: Sequence[ServerSpec], folders: Sequence[Path], root: Path) -> tuple[OwnLock, ...]:
    """One lock for each environment of ``servers`` that is made of requirements of their own.

    It is the one kept in the first of ``folders`` that has it, else it is resolved now and kept in the last.
    ``root`` is where uv is looked for. Raises ProvisionError.
    """
    wanted = {spec.group: spec for spec in servers if spec.requirements}
    return tuple(
        _kept(group, folders) or _resolved(spec, folders[-1], root) for group, spec in wanted.items()
    )


def _kept(group: str, folders: Sequence[Path]) -> OwnLock | None:
    for folder in folders:
        path = folder / file_name(group)
        try:
            return OwnLock(group, path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ProvisionError(
                f"can't read {path}: {error.strerror}", remedy="Make it readable, or delete it"
            ) from error
    return None


def _resolved(spec: ServerSpec, folder: Path, root: Path) -> OwnLock:
    name = file_name(spec.group)
    head = "# Resolved from these requirements. Delete this file to have them resolved anew.\n"
    head += "".join(f"#   {requirement}\n" for requirement in spec.requirements)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as place:
            made = Path(place) / name
            _resolve(spec, made, root)
            made.write_bytes(head.encode() + made.read_bytes())
            made.replace(folder / name)
        return OwnLock(spec.group, (folder / name).read_bytes())
    except OSError as error:
        raise ProvisionError(
            f"controller: the lock of {spec.name} can't be kept in {folder} ({error})",
            remedy="Make that folder writable, or name another folder for results with --results",
        ) from error


def _resolve(spec: ServerSpec, made: Path, root: Path) -> None:
    settings = pip_settings()
    argv = [str(find_uv(root)), "pip", "compile", "--universal", "--python-version", OLDEST_PYTHON]
    # Without wheels there is nothing to install on hosts; and nothing is built on this machine.
    argv += ["--only-binary", ":all:", "--python", sys.executable, "--quiet", "--no-header"]
    argv += ["--format", "pylock.toml", "--output-file", made.name, *index_options(settings), "-"]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    try:
        done = subprocess.run(
            argv,
            cwd=made.parent,  # not in a project, whose settings of uv would count
            env=environment | index_environment(settings, environment),
            input="".join(f"{requirement}\n" for requirement in spec.requirements).encode(),
            capture_output=True,
            timeout=RESOLVE_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _failure(spec, f"uv took longer than {RESOLVE_TIMEOUT_SECONDS} s", "") from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace")
        raise _failure(spec, _cause(words) or f"uv ended with status {done.returncode}", words)


def _failure(spec: ServerSpec, cause: str, words: str) -> ProvisionError:
    return ProvisionError(
        f"controller: the requirements of {spec.name} can't be resolved ({cause})",
        remedy="Correct them in the catalogue, or see that the package index is reached: "
        "`pip config` sets index-url, proxy and cert",
        detail=words[-4000:],
    )


def _cause(words: str) -> str:
    """uv's explanation without its drawing, in one line."""
    lines = [line.strip(" \t│╰├─▶×") for line in words.splitlines()]
    told = [line.removeprefix("error: ").removeprefix("Caused by: ") for line in lines if line]
    return " ".join(told)[:300].rstrip(". ")


def pip_settings() -> dict[str, str]:
    """The user's settings of pip for downloads, {key: value}. Raises ProvisionError if pip can't be asked."""
    argv = [sys.executable, "-P", "-m", "pip", "config", "list", "--disable-pip-version-check"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ProvisionError(
            f"controller: pip's settings can't be read ({error})", remedy="See that `pip config list` works"
        ) from error
    return parse_pip_settings(done.stdout)


def parse_pip_settings(listed: str) -> dict[str, str]:
    """``pip config list`` says ``section.key='value'``, a line each; of one key the last section counts."""
    sections: dict[str, dict[str, str]] = {section: {} for section in PIP_SECTIONS}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in sections:
            sections[section][key] = str(ast.literal_eval(value))
    return {key: value for section in PIP_SECTIONS for key, value in sections[section].items()}


def index_options(settings: Mapping[str, str]) -> list[str]:
    """The same indexes for uv, searched as by pip: the best version of all, from the first that has it."""
    options: list[str] = []
    extra = settings.get("extra-index-url", "").split()
    if "index-url" in settings or extra:
        *firsts, last = [settings.get("index-url", PYPI), *extra]
        for url in firsts:
            options += ["--index", url]
        options += ["--default-index", last]
    if extra:
        options += ["--index-strategy", "unsafe-best-match"]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    for place in settings.get("find-links", "").split():
        # pip only warns of a folder that isn't there.
        if "://" in place or Path(place).expanduser().exists():
            options += ["--find-links", place]
    for host in settings.get("trusted-host", "").split():
        options += ["--allow-insecure-host", host]
    return options


def index_environment(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Certificates and proxy, where uv has none of its own."""
    found = {}
    if "cert" in settings and "SSL_CERT_FILE" not in environment:
        found["SSL_CERT_FILE"] = settings["cert"]
    if "proxy" in settings:
        found["ALL_PROXY"] = settings["proxy"]
    return found
