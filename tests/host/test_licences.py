"""The licences of every entry's environment as it is installed, read by the shipped program."""

from __future__ import annotations

import subprocess
import sys

import pytest
from packaging.markers import default_environment
from packaging.utils import canonicalize_name

from bench.catalogue.own_lock import APP_PACKAGES
from bench.proofs.licences import ServerLicences, licences_found
from bench.wire.codec import decode_line, encode_line
from bench.wire.installed import InstalledPackages, ReadInstalled
from remote import bootstrap
from tests.helpers.endpoints import load_catalogue
from tests.helpers.environments import programs_of, resolved

ENTRIES = {spec.name: spec for spec in load_catalogue().servers}
UNCLEAR = {"uvloop": ("MIT", "Apache-2.0")}
"""Packages whose metadata name these licences, and not how they go together."""
REMARKED = {
    "daphne": "its metadata say no more than BSD License",
    "uvicorn-worker": "a classifier of it says MIT",
}
"""Packages whose metadata contradict themselves or say less than their licence file."""


@pytest.fixture(scope="module")
def found() -> dict[str, ServerLicences]:
    """By entry, as a benchmark reads them: one start of the program for all environments."""
    specs = {name: resolved(spec) for name, spec in ENTRIES.items()}
    places = {name: str(programs_of(spec.group).parent) for name, spec in specs.items()}
    done = subprocess.run(
        bootstrap.command(sys.executable, bootstrap.INSTALLED),
        input=bootstrap.modules(bootstrap.INSTALLED)
        + encode_line(ReadInstalled(tuple(dict.fromkeys(places.values())))),
        capture_output=True,
        timeout=60,
        check=True,
    )
    installed = decode_line(InstalledPackages, done.stdout).environments
    markers = {name: str(value) for name, value in default_environment().items()}
    return {
        name: licences_found(installed[places[name]], spec.package, APP_PACKAGES, {}, markers)
        for name, spec in specs.items()
    }


def test_every_server_has_the_licence_that_its_entry_states(found: dict[str, ServerLicences]) -> None:
    told = {name: one.server.licence.spdx if one.server else "" for name, one in found.items()}
    assert told == {name: spec.licence for name, spec in ENTRIES.items()}


def test_every_packages_licence_is_told_but_for_those_that_are_listed(
    found: dict[str, ServerLicences],
) -> None:
    packages = {canonicalize_name(one.name): one for each in found.values() for one in each.packages}
    unclear = {name: one.licence.named for name, one in packages.items() if not one.licence.spdx}
    assert unclear == UNCLEAR
    remarked = {name: one.licence.remarks for name, one in packages.items() if one.licence.spdx}
    assert {name: "; ".join(ones) for name, ones in remarked.items() if ones} == REMARKED
    assert not [one.problems for one in packages.values() if one.problems]


def test_none_restricts_use_and_we_have_a_line_on_each(found: dict[str, ServerLicences]) -> None:
    for name, one in found.items():
        assert (one.restricted, one.unknown) == ((), ()), name


def test_what_the_test_app_brings_is_told_apart(found: dict[str, ServerLicences]) -> None:
    for name, one in found.items():
        app = {package.name for package in one.packages if package.relation == "app"}
        assert {"starlette", "asyncpg"} <= app, name
        assert one.server is not None and one.size_bytes >= one.server.size_bytes > 10_000, name
    assert "uvloop" in found["uvicorn"].compiled and "uvloop" not in found["uvicorn-paper"].compiled
    beside = {package.name for package in found["uvicorn"].packages if package.relation == "beside"}
    assert {"uvloop", "httptools"} <= beside
    assert {"h11", "click"} <= {
        package.name for package in found["uvicorn"].packages if package.relation == "needed"
    }
