"""A study as an RO-Crate, by the Process Run Crate profile: its files, and for each trial the action that made one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.browse.targets import aside, require_parent
from study.store.record_files import read_study, read_trials
from study.store.records import TrialRecord
from study.store.storage import STUDY_FILE, Store
from trainables.errors import InputError

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
REPORT = "report"
FORMATS = {
    "json": "application/json", "html": "text/html", "md": "text/markdown", "csv": "text/csv", "png": "image/png",
    "svg": "image/svg+xml", "pdf": "application/pdf", "parquet": "application/vnd.apache.parquet",
}  # fmt: skip
RESOURCES = ("seconds", "cpus", "device", "precision", "peak_memory_mib", "host")
COMPLETED, FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
LICENSE = "No license was stated: ask whoever publishes this crate."


def export_ro_crate(folder: Store, target: Path) -> str:
    """Write study.json, the trials' records and, if there is one, the report into a zip file with metadata.

    Each trial that ended is one ``CreateAction``: its instrument is the version of this software that ran it, its
    object is study.json, and its result is the trial's record (Process Run Crate 0.5, on RO-Crate 1.1). Models,
    predictions and TensorBoard files are not included.

    Returns:
        What the crate contains, in words.

    Raises:
        InputError: The file exists, is not a .zip file or cannot be written; or the folder is not a study or contains
            a record that cannot be read.
    """
    target = target.expanduser()
    if target.suffix != ".zip":
        raise InputError(f"--ro-crate takes FILE.zip, got {target}")
    if target.exists():
        raise InputError(f"{target} exists; export to another file")
    require_parent(target)
    study = read_study(folder)
    records, damaged = read_trials(folder)
    if damaged:
        raise InputError(f"trials/{min(damaged)}.json cannot be read ({damaged[min(damaged)]}); resume the study first")
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    about = {"name": study.study, "description": study.description or study.study, "license": LICENSE}
    for key, value in {**about, "dateCreated": study.created}.items():
        crate.root_dataset[key] = value
    crate.root_dataset["conformsTo"] = _context(crate, PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
    plan = _file(crate, folder, STUDY_FILE, "the study's configuration, plan and fingerprints")
    report = folder.child(REPORT)
    shown = [_file(crate, folder, f"{REPORT}/{name}", f"report: {name}") for name in _files(report)]
    actions = [
        _action(crate, folder, records[row.trial_id], plan) for row in study.plan if row.trial_id in records
    ]  # fmt: skip
    if actions:
        crate.root_dataset["mentions"] = actions
    with aside(target, "; choose another file") as part:
        crate.write_zip(part)
    return f"{STUDY_FILE}, {len(actions)} trials, {len(shown)} files of the report"


def _files(folder: Store, inside: str = "") -> Iterator[str]:
    """Relative paths of the files in a folder and its subfolders, except those that are being written."""
    for name in sorted(folder.names()):
        if name.startswith("."):
            continue
        if "." in name:
            yield inside + name
        else:
            yield from _files(folder.child(name), f"{inside}{name}/")


def _file(crate: ROCrate, folder: Store, path: str, name: str) -> Any:
    content = folder.read(path)
    form = FORMATS.get(path.rpartition(".")[2])
    facts = {"name": name, "contentSize": str(len(content)), **({"encodingFormat": form} if form else {})}
    return crate.add_file(io.BytesIO(content), path, properties=facts)


def _context(crate: ROCrate, identifier: str, kind: str, **facts: Any) -> Any:
    """An entity that is not a file; a second request for an identifier returns the same entity."""
    from rocrate.model.contextentity import ContextEntity

    found = crate.get(identifier)
    return found or crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **facts}))


def _action(crate: ROCrate, folder: Store, record: TrialRecord, plan: Any) -> Any:
    result = _file(crate, folder, f"trials/{record.trial_id}.json", f"record of {record.label}, seed {record.seed}")
    failed = record.state in ("failed", "diverged")
    facts = {
        "name": f"{record.label}, seed {record.seed}",
        "description": f"{record.state}; {_resources(record.provenance)}",
        "actionStatus": FAILED if failed else COMPLETED,
        **({"error": record.reason} if failed and record.reason else {}),
    }
    software = _software(crate, record.provenance)
    return crate.add_action(software, f"#trial-{record.trial_id}", [plan], [result], {"@type": "CreateAction", **facts})


def _resources(provenance: dict[str, Any]) -> str:
    known = {name: provenance[name] for name in RESOURCES if provenance.get(name) is not None}
    return ", ".join(f"{name} {v:g}" if isinstance(v, float) else f"{name} {v}" for name, v in known.items())


def _software(crate: ROCrate, provenance: dict[str, Any]) -> Any:
    """This software as it ran a trial, with its dependencies; one entity for each version of its sources."""
    versions = {name.removeprefix("version."): v for name, v in provenance.items() if name.startswith("version.") and v}
    code = versions.pop("code", "unknown")
    own = versions.pop("fisher-study", None)
    needed = [
        _context(crate, f"#{name}-{version}", "SoftwareApplication", name=name, softwareVersion=str(version))
        for name, version in versions.items()
    ]
    facts = {"softwareVersion": f"{own or 'unknown'}, sources {code}", "softwareRequirements": needed}
    return _context(crate, f"#fisher-study-{code}", "SoftwareApplication", name="fisher-study", **facts)
