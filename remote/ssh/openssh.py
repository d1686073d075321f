"""How OpenSSH would reach a host: what `ssh -G` says of it, or, without OpenSSH, what paramiko reads.

OpenSSH decides, because ~/.ssh/config is its language: it follows Include, knows every Match, takes comments
behind values, canonical names and tokens. Where this machine has no `ssh`, or it can't run here, paramiko's
reader does; a line that it would take for something else is refused by file and line.
"""

from __future__ import annotations

import contextlib
import getpass
import glob
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import paramiko

from bench.errors import InventoryError

ANSWER_SECONDS = 15.0
SSH_PORT = 22
NONE = "none"
USERS_CONFIG = "~/.ssh/config"
SYSTEM_CONFIG = "/etc/ssh/ssh_config"
# paramiko signs with none of these kinds: security keys need their own library.
_NO_KEYS_OF_OURS = ("id_dsa", "id_xmss", "id_ecdsa_sk", "id_ed25519_sk")
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_MATCHES_OF_PARAMIKO = {"all", "canonical", "exec", "final", "host", "originalhost", "user", "localuser"}


class SshSettings(msgspec.Struct, frozen=True):
    """How one destination is reached. Files are those that are there, as absolute paths."""

    host_name: str
    port: int
    user: str
    identity_files: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False  # an agent's other keys are not offered
    proxy_jump: str = ""  # "first,second", each [user@]host[:port]; empty: none
    proxy_command: str = ""  # tokens filled in; empty: none
    known_hosts_files: tuple[str, ...] = ()  # there or not
    host_key_alias: str = ""  # what known_hosts calls it; empty: its host name


def ssh_settings(destination: str, user: str | None, port: int | None) -> SshSettings:
    """What ~/.ssh/config and ssh's defaults make of ``destination``; ``user`` and ``port`` overrule them.

    Raises InventoryError, naming file and line, for a configuration that can't be read.
    """
    answer = _asked_of_openssh(destination, user, port)
    if answer is None:
        return _read_by_paramiko(destination, user, port)
    return _from_openssh(answer, destination)


# ---------------------------------------------------------------- by OpenSSH


def _asked_of_openssh(destination: str, user: str | None, port: int | None) -> str | None:
    """What `ssh -G` prints; None where this machine has no ssh, or it can't run for this user."""
    program = shutil.which("ssh")
    account = _account_home()
    if program is None or account is None:
        return None
    words = [program, "-G", "-T", *_configuration_of(account)]
    words += ["-l", user] if user else []
    words += ["-p", str(port)] if port else []
    try:
        done = subprocess.run(
            [*words, "--", destination],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise InventoryError(
            f"{destination}: `ssh -G` doesn't end within {ANSWER_SECONDS:.0f} s",
            remedy=f"See what `Match exec` runs in {USERS_CONFIG}",
        ) from error
    if done.returncode != 0:
        raise InventoryError(
            f"{destination}: ssh can't read its settings ({_first_line(done.stderr)})",
            remedy=f"Correct that; `ssh -G {destination}` must work",
        )
    return done.stdout


def _account_home() -> str | None:
    """The home folder that OpenSSH takes; None: without an account it doesn't run at all."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except (KeyError, OSError):
        return None


def _configuration_of(account_home: str) -> tuple[str, ...]:
    """OpenSSH goes by the account's home folder; where HOME is another one, its configuration counts."""
    home = os.environ.get("HOME", account_home)
    if os.path.realpath(home) == os.path.realpath(account_home):
        return ()
    for file in (Path(home) / ".ssh/config", Path(SYSTEM_CONFIG)):
        if file.exists():
            return ("-F", str(file))
    return ("-F", NONE)


def _first_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[0] if lines else "it doesn't say why"


def _from_openssh(answer: str, destination: str) -> SshSettings:
    values: dict[str, list[str]] = {}
    for line in answer.splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value.strip())

    def one(key: str, default: str = "") -> str:
        found = values.get(key, [default])[0]
        return default if found.lower() == NONE else found

    name, port, user = one("hostname", destination), int(one("port", str(SSH_PORT))), one("user")
    tokens = _tokens(destination, name, port, user)
    known = [file for key in ("userknownhostsfile", "globalknownhostsfile") for file in one(key).split()]
    return SshSettings(
        host_name=name,
        port=port,
        user=user,
        identity_files=_files(values.get("identityfile", ()), tokens),
        certificate_files=_files(values.get("certificatefile", ()), tokens),
        identities_only=one("identitiesonly", "no") == "yes",
        proxy_jump=one("proxyjump"),
        proxy_command=_filled(one("proxycommand"), tokens),
        known_hosts_files=tuple(_of_this_home(_absolute(file, tokens)) for file in known),
        host_key_alias=one("hostkeyalias"),
    )


def _of_this_home(file: str) -> str:
    """OpenSSH's default file is below the account's home; where HOME is another one, below that."""
    account = _account_home()
    default = f"{account}/.ssh/known_hosts"
    return file.replace(default, str(Path("~/.ssh/known_hosts").expanduser())) if account else file


# ---------------------------------------------------------------- by paramiko


def _read_by_paramiko(destination: str, user: str | None, port: int | None) -> SshSettings:
    found: dict[str, str | list[str]] = {}
    for file in (Path(USERS_CONFIG).expanduser(), Path(SYSTEM_CONFIG)):
        for key, value in _lookup(file, destination).items():
            found.setdefault(key, value)

    def one(key: str, default: str = "") -> str:
        value = found.get(key, default)
        text = value if isinstance(value, str) else value[0]
        return default if text.lower() == NONE else text

    name = one("hostname", destination)
    text = one("port", str(SSH_PORT))
    if not text.isdigit():
        raise InventoryError(
            f"{destination}: its Port in {USERS_CONFIG} is {text!r}", remedy="Write a number there"
        )
    number, login = port or int(text), user or one("user") or getpass.getuser()
    tokens = _tokens(destination, name, number, login)
    identities = found.get("identityfile", list(_DEFAULT_KEYS))
    certificates = found.get("certificatefile", [])
    return SshSettings(
        host_name=name,
        port=number,
        user=login,
        identity_files=_files([identities] if isinstance(identities, str) else identities, tokens),
        certificate_files=_files([certificates] if isinstance(certificates, str) else certificates, tokens),
        identities_only=one("identitiesonly", "no") == "yes",
        proxy_jump=one("proxyjump"),
        proxy_command=_filled(one("proxycommand"), tokens),
        known_hosts_files=tuple(_absolute(file, tokens) for file in _KNOWN_HOSTS),
        host_key_alias=one("hostkeyalias"),
    )


def _lookup(file: Path, destination: str) -> Mapping[str, str | list[str]]:
    try:
        text = file.read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InventoryError(
            f"{file} can't be read ({error.strerror})", remedy=f"Make it readable: chmod u+r {file}"
        ) from error
    for number, problem in misread_lines(text, file.parent):
        raise InventoryError(
            f"{file}, line {number}: {problem}",
            remedy="Install OpenSSH's client here, which reads it, or write the line in another way",
        )
    try:
        config = paramiko.SSHConfig.from_text(text)
        found: Mapping[str, str | list[str]] = config.lookup(destination)
    except (paramiko.SSHException, ValueError, KeyError, IndexError) as error:
        raise InventoryError(
            f"{file} can't be read without OpenSSH ({error})",
            remedy="Install OpenSSH's client here, which reads it, or write that line in another way",
        ) from error
    return found


def misread_lines(text: str, folder: Path) -> Iterator[tuple[int, str]]:
    """(number, what is wrong) of each line of an ssh_config that paramiko would take for something else.

    ``folder`` is where the names after Include begin. One that names no file is harmless.
    """
    for number, line in enumerate(text.splitlines(), 1):
        words = re.split(r"[\s=]+", line.strip(), maxsplit=1)
        key, value = words[0].lower(), words[1] if len(words) > 1 else ""
        if not key or key.startswith("#"):
            continue
        if key == "include" and any(_included(value, folder)):
            yield number, "an Include isn't followed without OpenSSH"
        elif re.search(r"\s#", value):
            yield number, "a comment behind a value is taken as part of it without OpenSSH"
        elif key == "match":
            unknown = [word for word in _conditions(value) if word not in _MATCHES_OF_PARAMIKO]
            if unknown:
                yield number, f"`Match {unknown[0]}` can't be decided without OpenSSH"


def _included(value: str, folder: Path) -> Iterator[str]:
    for pattern in value.replace('"', "").split():
        yield from glob.iglob(str(folder / os.path.expanduser(pattern)))  # noqa: PTH111, PTH207 - may be a pattern


def _conditions(value: str) -> Iterator[str]:
    words = iter(value.lower().split())
    for word in words:
        yield word.removeprefix("!")
        if word.removeprefix("!") not in ("all", "canonical", "final"):
            next(words, "")


# ---------------------------------------------------------------- files and tokens


def _tokens(destination: str, host_name: str, port: int, user: str) -> dict[str, str]:
    with contextlib.suppress(KeyError, OSError):
        return _all_tokens(destination, host_name, port, user, getpass.getuser())
    return _all_tokens(destination, host_name, port, user, str(os.getuid()))


def _all_tokens(destination: str, host_name: str, port: int, user: str, local: str) -> dict[str, str]:
    home = os.environ.get("HOME", "")
    return {
        "%": "%",
        "d": home,
        "h": host_name,
        "i": str(os.getuid()),
        "n": destination,
        "p": str(port),
        "r": user,
        "u": local,
    }


def _filled(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)


def _absolute(file: str, tokens: Mapping[str, str]) -> str:
    text = _filled(file.strip('"'), tokens)
    with contextlib.suppress(RuntimeError):  # no home folder: as it stands
        text = str(Path(text).expanduser())
    return text


def _files(named: Iterator[str] | list[str] | tuple[str, ...], tokens: Mapping[str, str]) -> tuple[str, ...]:
    """Those that are there: as with ssh, one that isn't is passed over."""
    paths = [_absolute(file, tokens) for file in named if file.lower() != NONE]
    usable = [path for path in paths if Path(path).name not in _NO_KEYS_OF_OURS]
    return tuple(path for path in dict.fromkeys(usable) if Path(path).is_file())
