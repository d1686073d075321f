"""The releases that a lab host may run, and what debootstrap needs to know of each."""

from __future__ import annotations

import platform
from pathlib import Path

import msgspec

from bench.errors import LabError

DEFAULT_RELEASE = "bookworm"
SCRIPTS_DIRECTORY = Path("/usr/share/debootstrap/scripts")
DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
# Releases are named faster than debootstrap learns them; each distribution has one script for all of late.
NEWEST_SCRIPTS = {"debian": "sid", "ubuntu": "gutsy"}


class Release(msgspec.Struct, frozen=True):
    """``components`` are the archive's, separated by commas; ``keyring`` has the keys that sign it."""

    name: str
    title: str
    distribution: str
    keyring: str
    components: str = "main"

    @property
    def archive(self) -> str:
        """The distribution's own archive for this machine's processor."""
        if self.distribution == "debian":
            return "http://deb.debian.org/debian"
        if platform.machine() == "x86_64":
            return "http://archive.ubuntu.com/ubuntu"
        return "http://ports.ubuntu.com/ubuntu-ports"


# Those whose own Python is 3.11 or newer.
RELEASES = {
    one.name: one
    for one in (
        Release("bookworm", "Debian 12", "debian", DEBIAN_KEYRING),
        Release("trixie", "Debian 13", "debian", DEBIAN_KEYRING),
        Release("noble", "Ubuntu 24.04", "ubuntu", UBUNTU_KEYRING, "main,universe"),
    )
}


def release_named(name: str) -> Release:
    """Raises LabError, with the names that there are."""
    if name not in RELEASES:
        known = ", ".join(f"{one.name} ({one.title})" for one in RELEASES.values())
        raise LabError(f"lab hosts cannot run {name!r}", remedy=f"Choose among {known}")
    return RELEASES[name]


def check_keyring(release: Release) -> str:
    """The keyring's path. Raises LabError where this machine lacks it."""
    if not Path(release.keyring).exists():
        package = Path(release.keyring).stem
        raise LabError(
            f"{release.title} cannot be checked on arrival: {release.keyring} is missing",
            remedy=f"Install the package that brings it ({package}), or choose other releases",
        )
    return release.keyring


def mirror_of(release: Release, own_mirror: str | None) -> str:
    """Where to fetch the release: ``own_mirror``, of this system, has every Debian release."""
    return own_mirror if own_mirror is not None and release.distribution == "debian" else release.archive


def script_of(release: Release, directory: Path = SCRIPTS_DIRECTORY) -> Path | None:
    """debootstrap's script for a release that it does not know by name yet; None where it does.

    Raises LabError where it has none that would do.
    """
    if (directory / release.name).exists():
        return None
    script = directory / NEWEST_SCRIPTS[release.distribution]
    if not script.exists():
        raise LabError(
            f"this debootstrap knows neither {release.name} nor {script.name}",
            remedy="Install a newer debootstrap, or choose other releases",
        )
    return script
