"""The licences of servers, by the metadata of what is installed in their environments: nothing is started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from bench.catalogue.own_lock import APP_PACKAGES
from bench.plan.plan import Plan
from bench.proofs.kept import PROOFS_VERSION, Proofs
from bench.proofs.licences import LICENCES, ServerLicences, licences_found
from bench.proofs.request import ProveRequest
from bench.proofs.subject import Subject, subject_of
from bench.spec import ServerSpec
from remote.guarded import GuardedHost
from remote.installed import read_installed
from remote.provision.lockfile import marker_environment
from remote.provision.provision import Provisioned
from session.prove.ground import Ground


def prove_licences(request: ProveRequest, ground: Ground) -> Proofs[ServerLicences]:
    """Of every server that was asked for. Raises CommandFailed and what a lost connection raises."""
    return _proofs(
        request.command(LICENCES),
        ground.environment,
        ground.subjects,
        _read(ground.host, ground.provisioned, ground.servers.values()),
    )


def licences_of_plan(plan: Plan, host: GuardedHost, provisioned: Provisioned) -> Proofs[ServerLicences]:
    """Of a benchmark's servers, in one round trip. Raises as prove_licences."""
    now = _now()
    subjects = {}
    for spec in plan.servers:
        packages = provisioned.environments[spec.group].versions
        subjects[spec.name] = subject_of(spec, packages.get(spec.package, ""), packages, host.facts, now)
    return _proofs(
        ("./invoke", LICENCES, "--hosts", plan.environment),
        plan.environment,
        subjects,
        _read(host, provisioned, plan.servers),
    )


def _read(
    host: GuardedHost, provisioned: Provisioned, specs: Collection[ServerSpec]
) -> dict[str, ServerLicences]:
    """By server. Entries that share an environment are read once."""
    environments = {spec.name: provisioned.environments[spec.group] for spec in specs}
    directories = list(dict.fromkeys(one.directory for one in environments.values()))
    installed = read_installed(host, host.facts, directories)
    markers = {name: str(value) for name, value in marker_environment(host.facts).items()}
    return {
        spec.name: licences_found(
            installed[environments[spec.name].directory],
            spec.package,
            APP_PACKAGES,
            environments[spec.name].released,
            markers,
        )
        for spec in specs
    }


def _proofs(
    command: tuple[str, ...],
    environment: str,
    subjects: Mapping[str, Subject],
    findings: Mapping[str, ServerLicences],
) -> Proofs[ServerLicences]:
    return Proofs(
        kind=LICENCES,
        version=PROOFS_VERSION,
        made_at=_now(),
        command=command,
        environment=environment,
        subjects=dict(subjects),
        findings=dict(findings),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
