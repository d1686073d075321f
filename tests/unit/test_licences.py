"""Licences from metadata: what can be told, and what can't. The heads are those of real distributions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.pylock import Package, PackageWheel, Pylock
from packaging.utils import canonicalize_name
from packaging.version import Version

from bench.licences.expression import canonical, holds, names_in
from bench.licences.obligations import OBLIGATIONS, obligation_of
from bench.licences.relations import relations
from bench.licences.releases import age_days, release_days
from bench.licences.stated import CLASSIFIERS, FAMILIES, SPELLINGS, licence_of
from bench.licences.texts import recognised
from bench.proofs.licences import licences_found
from bench.wire.installed import InstalledPackage
from remote.onhost.installed import LICENCE_BYTES, packages_of
from tests.helpers.distributions import (
    APACHE_NOTICE,
    BSD_3,
    MIT,
    MIT_BODY,
    distribution,
    write_distribution,
)

BSD_CLASSIFIER = "Classifier: License :: OSI Approved :: BSD License\n"
MIT_CLASSIFIER = "Classifier: License :: OSI Approved :: MIT License\n"
APACHE_CLASSIFIER = "Classifier: License :: OSI Approved :: Apache Software License\n"


# ------------------------------------------------------------------ a licence's text


def test_a_licences_text_is_recognised_with_its_title_and_holders() -> None:
    assert recognised(MIT) == "MIT"
    assert recognised(f"Copyright (c) 2014\nRackspace\nSomebody Else\n\n{MIT_BODY}") == "MIT"
    assert recognised(BSD_3) == "BSD-3-Clause"
    assert recognised(f"BSD 3-Clause License\n\n{BSD_3}") == "BSD-3-Clause"
    assert recognised(APACHE_NOTICE) == "Apache-2.0"
    second = BSD_3[BSD_3.index("    3. Neither") : BSD_3.index("THIS SOFTWARE IS PROVIDED")]
    assert recognised(BSD_3.replace(second, "")) == "BSD-2-Clause"
    condition = MIT[MIT.index(", subject to") : MIT.index("THE SOFTWARE IS PROVIDED")]
    assert recognised(MIT.replace(condition, ".\n\n")) == "MIT-0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MIT",
        MIT.replace("use, copy, modify", "copy, modify"),
        f"{MIT}\nIt must not be used for evil.\n",
        BSD_3.replace("are met:", "are met, and its user is no army:"),
        f"{BSD_3}\n\n{MIT}",
        f"This project includes code from another, which is licensed as below.\n\n{MIT}",
        f"Either this licence or the GPL holds.\n\n{MIT}",
        f"{'somebody else ' * 100}\n{MIT}",
        APACHE_NOTICE.replace("Version 2.0", "Version 1.1"),
        f"{APACHE_NOTICE}\nCommons Clause: it must not be sold.\n",
    ],
)
def test_a_text_that_says_more_or_less_is_not_recognised(text: str) -> None:
    assert recognised(text) == ""


# ------------------------------------------------------------------ expressions


def test_expressions_are_spdxs_own() -> None:
    assert canonical("mit or apache-2.0") == "MIT OR Apache-2.0"
    assert canonical("BSD") == canonical("Apache Software License") == canonical("") == ""
    assert names_in("(MIT OR Apache-2.0) AND BSD-3-Clause") == ("MIT", "Apache-2.0", "BSD-3-Clause")
    exception = "GPL-2.0-only WITH Classpath-exception-2.0"
    assert names_in(f"{exception} OR MIT") == (exception, "MIT")
    known = obligation_of(exception)
    assert known is not None and known.kind == "copyleft"


@pytest.mark.parametrize(
    ("expression", "is_so"),
    [
        ("SSPL-1.0", True),
        ("MIT", False),
        ("SSPL-1.0 OR MIT", False),
        ("SSPL-1.0 AND MIT", True),
        ("(SSPL-1.0 OR BUSL-1.1) AND MIT", True),
        ("(SSPL-1.0 OR MIT) AND BSD-3-Clause", False),
        ("MIT AND (SSPL-1.0 OR MIT) OR SSPL-1.0", False),
        ("MIT OR SSPL-1.0 AND MIT", False),
    ],
)
def test_what_holds_holds_whatever_is_chosen(expression: str, is_so: bool) -> None:
    assert holds(expression, lambda name: name in ("SSPL-1.0", "BUSL-1.1")) is is_so


def test_every_name_in_our_tables_is_one_of_spdxs() -> None:
    families = [name for names in FAMILIES.values() for name in names]
    for name in (*OBLIGATIONS, *CLASSIFIERS.values(), *SPELLINGS.values(), *families):
        assert canonicalize_license_expression(name) == name
    assert all(text == text.lower() for text in SPELLINGS)
    assert all(one.asks.endswith(".") for one in OBLIGATIONS.values())


# ------------------------------------------------------------------ what metadata tell


def test_an_expression_counts_and_what_contradicts_it_is_told(tmp_path: Path) -> None:
    """uvicorn-worker 0.4.0."""
    head = f"License-Expression: BSD-3-Clause\nLicense-File: LICENSE.md\n{MIT_CLASSIFIER}"
    found = licence_of(distribution(tmp_path, head, {"licenses/LICENSE.md": BSD_3}))
    assert (found.spdx, found.how) == ("BSD-3-Clause", "License-Expression")
    assert found.remarks == ("a classifier of it says MIT",)
    assert found.files == {"LICENSE.md": "BSD-3-Clause"}


def test_a_family_becomes_a_licence_by_the_licence_file_alone(tmp_path: Path) -> None:
    """daphne 4.2.3, and the same without its file or with another."""
    head = f"License: BSD\n{BSD_CLASSIFIER}License-File: LICENSE"
    found = licence_of(distribution(tmp_path / "a", head, {"licenses/LICENSE": BSD_3}))
    assert (found.spdx, found.how) == ("BSD-3-Clause", "the text of its licence file")
    assert found.remarks == ("its metadata say no more than BSD License",)
    found = licence_of(distribution(tmp_path / "b", head))
    assert (found.spdx, found.named) == ("", ())
    assert found.how == "its metadata say no more than BSD License"
    found = licence_of(distribution(tmp_path / "c", head, {"licenses/LICENSE": MIT}))
    assert (found.spdx, found.named) == ("", ("MIT", "BSD License"))


def test_two_licences_without_a_word_between_them_are_not_joined(tmp_path: Path) -> None:
    """uvloop 0.23.0: its description says that one may choose, its metadata don't."""
    head = f"License: MIT License\n{APACHE_CLASSIFIER}{MIT_CLASSIFIER}"
    files = {"LICENSE-APACHE": APACHE_NOTICE, "LICENSE-MIT": MIT}
    found = licence_of(distribution(tmp_path, head, files))
    assert (found.spdx, found.named) == ("", ("MIT", "Apache-2.0"))
    assert found.how == "its field License (MIT License) and its classifiers name unlike ones"
    assert found.remarks == ("whether one may choose, or all hold, its metadata don’t say",)


def test_a_field_that_is_an_expression_holds_its_classifiers(tmp_path: Path) -> None:
    """outcome 1.3.0."""
    head = f"License: MIT OR Apache-2.0\n{APACHE_CLASSIFIER}{MIT_CLASSIFIER}"
    found = licence_of(distribution(tmp_path, head))
    assert (found.spdx, found.how) == ("MIT OR Apache-2.0", "its field License (MIT OR Apache-2.0)")
    assert not found.remarks


def test_a_whole_text_in_the_field_is_read_as_one(tmp_path: Path) -> None:
    """Automat 25.4.16 has the MIT licence there, indented."""
    text = "\n".join(f"        {line}" for line in f"Rackspace\n\n{MIT_BODY}".splitlines())
    found = licence_of(distribution(tmp_path, f"License: Copyright (c) 2014\n{text}\n{MIT_CLASSIFIER}"))
    assert (found.spdx, found.how) == ("MIT", "the text in its field License")


@pytest.mark.parametrize(
    ("head", "spdx", "how"),
    [
        (MIT_CLASSIFIER, "MIT", "a classifier"),  # Incremental
        ("License: Apache 2.0\n" + APACHE_CLASSIFIER, "Apache-2.0", "its field License (Apache 2.0)"),
        (APACHE_CLASSIFIER, "", "its metadata say no more than Apache Software License"),
        ("", "", "its metadata name none"),
        ("License: UNKNOWN", "", "its metadata say no more than UNKNOWN"),
        ("License: see the file", "", "its metadata say no more than see the file"),
        (f"{MIT_CLASSIFIER}{APACHE_CLASSIFIER}", "", "its classifiers name several"),
    ],
)
def test_nothing_is_guessed(tmp_path: Path, head: str, spdx: str, how: str) -> None:
    found = licence_of(distribution(tmp_path, head))
    assert (found.spdx, found.how) == (spdx, how)


def test_an_expression_that_is_none_counts_for_nothing(tmp_path: Path) -> None:
    found = licence_of(distribution(tmp_path / "a", f"License-Expression: The usual\n{MIT_CLASSIFIER}"))
    assert (found.spdx, found.how) == ("MIT", "a classifier")
    assert found.remarks == ("its License-Expression, 'The usual', is none that SPDX knows",)
    found = licence_of(distribution(tmp_path / "b", "License-Expression: MIT MIT"))
    assert found.spdx == ""


def test_what_is_bundled_does_not_speak_for_its_package(tmp_path: Path) -> None:
    """httptools 0.9.0 brings two parsers with licences of their own."""
    files = {"licenses/vendor/llhttp/LICENSE": MIT, "licenses/LICENSE": BSD_3}
    found = licence_of(distribution(tmp_path, BSD_CLASSIFIER, files))
    assert found.spdx == "BSD-3-Clause"
    assert found.files == {"LICENSE": "BSD-3-Clause", "vendor/llhttp/LICENSE": "MIT"}


# ------------------------------------------------------------------ damaged distributions


def read(site: Path) -> InstalledPackage:
    (found,) = packages_of(site.parents[2])
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "python3.11" / "site-packages"


def test_metadata_that_are_missing_or_damaged_are_said_and_stop_nothing(site: Path) -> None:
    write_distribution(site, None, record=None, name="a-1")
    write_distribution(site, b"Name: caf\xe9\nVersion: 1\nLicense: MIT\n", name="b-1")
    write_distribution(site, "nothing that is a field\n", name="c-1")
    write_distribution(site, "", name="d-1")
    (site / "e-1.dist-info").write_text("a file")
    found = {one.folder[0]: one for one in packages_of(site.parents[2])}
    assert set(found) == {"a", "b", "c", "d"}
    missing = "can't be read: No such file or directory"
    assert found["a"].problems == (f"METADATA {missing}", f"RECORD {missing}")
    assert found["b"].problems == ("METADATA is not in UTF-8",)
    assert found["b"].licence == "MIT"
    for one in (found["c"], found["d"]):
        assert one.problems == ("METADATA has no Name", "METADATA has no Version")
    result = licences_found(list(found.values()), "server", (), {}, {})
    assert [one.licence.spdx for one in result.packages].count("MIT") == 1
    assert {one.name for one in result.unknown} == {"a-1.dist-info", "c-1.dist-info", "d-1.dist-info"}


def test_files_are_counted_as_they_are_there(site: Path) -> None:
    site.mkdir(parents=True)
    for name, size in {"x.py": 10, "x.cpython-311-darwin.so": 1000, "libz.so.1": 500, "x.pyc": 7}.items():
        (site / name).write_bytes(b"0" * size)
    record = 'x.py,sha256=a,10\nx.cpython-311-darwin.so,,\n"libz.so.1",,\nx.pyc,,\ngone.py,,3\n\n'
    write_distribution(site, "Name: x\nVersion: 1\n", record=record)
    one = read(site)
    assert (one.files, one.size_bytes) == (3, 1510)
    assert {file.path: file.size_bytes for file in one.compiled} == {
        "x.cpython-311-darwin.so": 1000,
        "libz.so.1": 500,
    }
    assert one.problems == ("files that RECORD names and are missing: 1",)


def test_a_licence_files_name_leads_nowhere_else(site: Path) -> None:
    (site / "secret").parent.mkdir(parents=True)
    (site / "secret").write_text(MIT)
    write_distribution(site, "Name: x\nVersion: 1\nLicense-File: ../secret\nLicense-File: /etc/hostname\n")
    assert read(site).licence_files == ()


def test_a_licence_file_is_read_to_a_length_that_no_licence_has(site: Path) -> None:
    write_distribution(site, "Name: x\nVersion: 1\n", {"LICENSE": MIT * 200})
    (one,) = read(site).licence_files
    assert len(one.text) == LICENCE_BYTES


# ------------------------------------------------------------------ what is there for what


def made(name: str, *requires: str) -> InstalledPackage:
    return InstalledPackage(name, name, "1", requires, "", "", "", (), (), 0, 0, (), ())


def test_packages_of_the_server_and_of_the_test_app_are_told_apart() -> None:
    packages = (
        made("Granian", "click", 'uvloop; extra == "uvloop"', "helper[fast]", "not a requirement!"),
        made("click", 'colorama; sys_platform == "win32"'),
        made("helper", 'quick; extra == "fast"'),
        *(made(name) for name in ("quick", "uvloop", "idna", "colorama")),
        made("starlette", "anyio"),
        made("anyio", "idna", "click"),
    )
    found = relations(packages, "granian", ("starlette", "asyncpg"), {"sys_platform": "linux"})
    assert {name for name, one in found.items() if one == "needed"} == {"click", "helper", "quick"}
    assert {name for name, one in found.items() if one == "beside"} == {"uvloop", "colorama"}
    assert {name for name, one in found.items() if one == "app"} == {"starlette", "anyio", "idna"}
    assert found["granian"] == "server"


def test_health_is_of_what_the_server_installs_alone(tmp_path: Path) -> None:
    python = "Classifier: Programming Language :: Python :: 3."
    head = f"License-Expression: SSPL-1.0\nRequires-Python: >=3.9\n{python}9\n{python}11\n{python}10"
    server = distribution(tmp_path, head, name="Some.Server")
    app = distribution(tmp_path, "License: strange", name="starlette")
    found = licences_found([app, server], "some-server", ("starlette",), {"some-server": "2026-11-01"}, {})
    assert [one.name for one in found.packages] == ["Some.Server", "starlette"]
    assert [one.name for one in found.of_server] == ["Some.Server"] and found.server == found.packages[0]
    assert found.server.pythons == ("3.9", "3.10", "3.11")
    assert (found.server.requires_python, found.server.released) == (">=3.9", "2026-11-01")
    assert [one.name for one in found.restricted] == ["Some.Server"] and not found.unknown
    assert age_days(found.server.released, "2026-11-28T03:00:00+00:00") == 27
    assert age_days("", "2026-11-28") is None


def test_a_release_is_as_old_as_its_first_file() -> None:
    def wheel(tag: str, day: int | None) -> PackageWheel:
        time = None if day is None else datetime(2026, 11, day, 23, 59, tzinfo=UTC)
        name = f"x-1-{tag}-none-any.whl"
        return PackageWheel(
            name=name, url=f"https://index/{name}", upload_time=time, hashes={"sha256": "0" * 64}
        )

    wheels = [wheel("py3", 9), wheel("py2", 4), wheel("cp3", None)]
    packages = [
        Package(name=canonicalize_name("x"), version=Version("1"), wheels=wheels),
        Package(name=canonicalize_name("y"), version=Version("1"), wheels=[wheel("py3", None)]),
    ]
    lock = Pylock(lock_version=Version("1.0"), created_by="a test", packages=packages)
    assert release_days(lock) == {"x": "2026-11-04"}
