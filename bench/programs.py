"""Programs of a host's that are no Python packages: what each is called, and what brings it."""

from __future__ import annotations

import msgspec


class HostProgram(msgspec.Struct, frozen=True):
    """One program. A host that lacks it is sent Debian's package of it, where that runs."""

    name: str  # the command
    package: str  # of Debian and Ubuntu
    formula: str  # of Homebrew
    version_words: tuple[str, ...]  # arguments that have it print its version and end

    def install_on(self, host: str, system: str) -> str:
        """A remedy: the command that brings it to a host of that system."""
        if system == "Darwin":
            return f"Run `brew install {self.formula}` on {host}"
        return f"Install {self.package} on {host} (`apt-get install {self.package}` on Debian and Ubuntu)"


H2LOAD = HostProgram("h2load", "nghttp2-client", "nghttp2", ("--version",))
HAPROXY = HostProgram("haproxy", "haproxy", "haproxy", ("-v",))
