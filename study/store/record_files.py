"""Reading and writing study.json and the records of trials."""

from __future__ import annotations

import json

from pydantic import ValidationError

from study.store.records import SCHEMA_VERSION, StudyRecord, TrialRecord
from study.store.storage import STUDY_FILE, Store
from study.store.storage_error import cause
from trainables.config.dotted_paths import parse
from trainables.errors import InputError
from trainables.schema import describe


def write_study(folder: Store, record: StudyRecord) -> None:
    """Write study.json."""
    folder.write(STUDY_FILE, (json.dumps(record.model_dump(mode="json"), indent=1) + "\n").encode())


def read_study(folder: Store) -> StudyRecord:
    """Read study.json; InputError when it is missing or damaged."""
    try:
        content = folder.read(STUDY_FILE)
        return StudyRecord.model_validate_json(content)
    except FileNotFoundError:
        raise InputError(f"{folder.location} is no study: it has no {STUDY_FILE}") from None
    except ValidationError as error:
        _refuse_newer(content, folder.place(STUDY_FILE))
        raise InputError(
            f"{folder.place(STUDY_FILE)} is damaged ({describe(error)}); restore it from a copy, "
            f"or delete the folder and run the study again"
        ) from None


def _refuse_newer(content: bytes, place: str) -> None:
    """Refuse a file from a later version of the program: it is not damaged, and must not be overwritten."""
    try:
        version = json.loads(content)["schema_version"]
    except (ValueError, TypeError, KeyError):
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(f"{place} was written by a later version of fisher-study: update this one")


def write_trial(folder: Store, record: TrialRecord) -> None:
    """Write the record of a trial that ended; its types refuse a number that is not finite."""
    content = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"
    folder.child("trials").write(f"{record.trial_id}.json", content.encode())


def read_trials(folder: Store, strict: bool = False) -> tuple[dict[str, TrialRecord], dict[str, str]]:
    """Read the records of a study.

    Args:
        strict: Raise even when a record in a local storage cannot be read, since it may be a good one.

    Returns:
        Trial id to record, and trial id to the reason why its record cannot be read.

    Raises:
        InputError: A later version of the program wrote one of them.
        OSError: An object storage cannot be read; when strict, any record cannot be read.
    """
    records: dict[str, TrialRecord] = {}
    unreadable: dict[str, str] = {}
    trials = folder.child("trials")
    for trial_id in trials.json_files():
        content = b""
        try:
            content = trials.read(f"{trial_id}.json")
            record = TrialRecord.model_validate_json(content)
            parse(record.config)
        except OSError as error:
            if strict or not folder.is_local:  # else an unavailable object storage would be asked for every record
                raise
            unreadable[trial_id] = cause(error)
        except ValidationError as error:
            _refuse_newer(content, trials.place(f"{trial_id}.json"))
            unreadable[trial_id] = describe(error)
        except InputError as error:
            unreadable[trial_id] = str(error)
        else:
            records[trial_id] = record
    return records, unreadable
