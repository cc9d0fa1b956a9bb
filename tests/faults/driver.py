"""``python -m tests.faults.driver``: fisher-study with the trials of ``trial.py``.

``FAULTS_WRITE`` names a file before whose renaming the driver stands still for ever, with half of it written aside.
``FAULTS_CODE`` is another fingerprint of the code than the true one.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from study.sweep.resources import prepare_ray


def main() -> None:
    """Run the command that was typed."""
    prepare_ray("local")  # before Ray is imported
    be_patient()
    import study.sweep.tune
    import trainables.software
    from study.__main__ import main as fisher_study
    from tests.faults.trial import faulty_trial

    study.sweep.tune.sweep = functools.partial(study.sweep.tune.sweep, trainable=faulty_trial)
    if name := os.environ.get("FAULTS_WRITE"):
        _stop_before(name)
    if code := os.environ.get("FAULTS_CODE"):
        trainables.software.code_fingerprint = lambda: code
    fisher_study()


def be_patient() -> None:
    """Give a node of Ray five minutes to start, in place of 30 seconds, which a busy machine exceeds."""
    import ray._private.node

    slow = {**vars(time), "monotonic": lambda: time.monotonic() / 10}
    ray._private.node.time = SimpleNamespace(**slow)


def _stop_before(name: str) -> None:
    from study.store.storage import Store

    write, replace = Store.write, os.replace

    def half_written(self: Store, file: str, content: bytes) -> None:
        if file == name or (name == "a second record" and self.path.endswith("/trials") and self.names()):
            self.filesystem.create_dir(self.path, recursive=True)
            with self.filesystem.open_output_stream(f"{self.path}/.{file}.{os.getpid()}.part") as stream:
                stream.write(content[: len(content) // 2])
            _stand_still()
        write(self, file, content)

    def half_replaced(source: Any, target: Any) -> None:
        if Path(target).name == name:  # the report's pages
            _stand_still()
        replace(source, target)

    Store.write = half_written  # type: ignore[method-assign]
    os.replace = half_replaced


def _stand_still() -> None:
    (Path(os.environ["FAULTS_FOLDER"]) / "driver").touch()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
