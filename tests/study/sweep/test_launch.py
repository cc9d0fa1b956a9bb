"""``run`` and ``resume`` without Ray and without training: the sweep is a stand-in that writes records."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import analysis.report
import study.sweep.cluster
import study.sweep.tune
from study.config import Arm, StudyConfig
from study.plan.loading import load_study
from study.plan.narrowing import narrow
from study.plan.planning import PlannedTrial, probes
from study.search_space import LogUniform
from study.store.folders import study_command
from study.store.lock import LOCK_FILE, DriverLock
from study.store.record_files import read_study, read_trials
from study.store.records import TrialRecord
from study.store.storage import Store, open_store
from study.store.storage_error import StorageError
from study.store.working_files import CHECKPOINTS, WorkerFolder, read_draws
from study.sweep import launch
from study.sweep.inputs import left_out, without
from study.sweep.interruption import TIME_BUDGET
from study.sweep.resources import Resources
from trainables.config import TrialConfig
from trainables.errors import InputError

Make = Callable[..., TrialRecord]
VERSIONS = {"version.code": "c0de", "version.torch": "2", "version.transformers": "5", "version.tokenizers": "0"}


class FakeAssets:
    weights = "weights"
    revision: str | None = None
    model_type = "bert"
    notes = ("a note",)

    def fingerprints(self, config: TrialConfig) -> tuple[str, str]:
        return self.weights, "rows"

    def model(self, config: TrialConfig) -> Any:
        return SimpleNamespace(revision=self.revision, config={"model_type": self.model_type})


class World:
    """What the tests look at and turn."""

    def __init__(self, storage: Store, make_record: Make) -> None:
        self.storage = storage
        self.output = io.StringIO()
        self.console = Console(file=self.output, width=200)
        self.make_record = make_record
        self.assets = FakeAssets()
        self.ran: list[list[str]] = []
        self.reports: list[str] = []
        self.states: dict[str, str] = {}
        self.provenance: dict[str, Any] = {}
        self.after: Callable[[Any, int], None] = lambda interruption, count: None

    def sweep(
        self,
        trials: Sequence[PlannedTrial],
        assets: Any,
        resources: Resources,
        folder: Store,
        run: str,
        write: Callable[[TrialRecord], None],
        progress: Any,
        interruption: Any,
        searches: Any,
    ) -> None:
        folder.child("runs").child(run).write("tuner.pkl", b"")
        self.ran.append([])
        self.used = assets
        self.searches = searches
        self.known = {name: list(search.told) for name, search in searches.items()}
        for trial in trials:
            if interruption.reason is not None:
                return
            self.ran[-1].append(trial.label)
            state = self.states.get(trial.label, "complete")
            folder.child(CHECKPOINTS).write(f"{trial.trial_id}.safetensors", b"half-way")
            if trial.slot is not None:
                trial = replace(trial, config=searches[trial.arm].draw(trial))
            record = self.make_record(trial, state=state, reason=None if state == "complete" else "why")
            record = record.model_copy(update={"provenance": {**record.provenance, **self.provenance}})
            write(record)
            if trial.slot is not None:
                searches[trial.arm].ended(record)
            self.after(interruption, len(self.ran[-1]))

    def resolve(self, study: StudyConfig, rows: Sequence[PlannedTrial], console: Console) -> Any:
        assets: Any = self.assets
        return assets, without(study, left_out([*rows, *probes(study)], assets))

    def report(self, folder: str, out: str | None) -> Any:
        self.reports.append(folder)
        open_store(folder).child("report").write("report.html", b"")
        return SimpleNamespace(sentences=["H1 undecided."], page=f"{folder}/report/report.html")

    def run(self, study: StudyConfig) -> int:
        return launch.run(study, self.storage, Resources(), self.console)

    def resume(self, name: str = "small", **options: Any) -> int:
        return launch.resume(name, self.storage, Resources(), self.console, **options)

    @property
    def folder(self) -> Store:
        return self.storage.child("small")

    def said(self) -> str:
        text = self.output.getvalue()
        self.output.seek(0)
        self.output.truncate()
        return text


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: Make) -> World:
    world = World(open_store(str(tmp_path / "st")), make_record)
    monkeypatch.setattr(launch, "resolve", world.resolve)
    monkeypatch.setattr(launch, "print_estimate", lambda trials, *rest: world.console.print(f"{len(trials)} timed"))
    monkeypatch.setattr(study.sweep.cluster, "session", lambda resources: nullcontext(resources))
    monkeypatch.setattr(study.sweep.tune, "sweep", world.sweep)
    monkeypatch.setattr(launch, "software", lambda: VERSIONS)
    monkeypatch.setattr(analysis.report, "write_report", world.report)
    return world


def test_a_study_runs_and_answers(world: World, small_study: StudyConfig) -> None:
    assert world.run(small_study) == 0
    assert world.ran == [["baseline", "baseline", "kl=0", "kl=0", "kl=0.5", "kl=0.5"]]
    assert world.said().splitlines()[-4:] == [
        "H1 undecided.",
        "6 trials planned: 6 complete",
        f"trials: fisher-study show small --storage {world.storage.location}",
        f"report: {world.folder.location}/report/report.html",
    ]
    record = read_study(world.folder)
    assert record.fingerprints["models"] == {"bert-base-multilingual-cased": "weights"}
    assert [key.split(",")[0] for key in record.fingerprints["data"]] == ["xnli from hub"]
    assert record.fingerprints["revisions"] == {}
    assert record.notes == ("a note",)
    assert world.folder.names() == ["report", "runs", "study.json", "trials"]


def test_checkpoints_are_kept_for_trials_that_may_go_on(world: World, small_study: StudyConfig) -> None:
    world.states = {"kl=0": "failed", "kl=0.5": "diverged"}
    checkpoints = world.folder.child(CHECKPOINTS)
    world.after = lambda interruption, count: checkpoints.write(".x.safetensors.1.part", b"")
    assert world.run(small_study) == 3
    failed = [row.trial_id for row in read_study(world.folder).plan if row.label == "kl=0"]
    assert checkpoints.names() == sorted(f"{trial_id}.safetensors" for trial_id in failed)
    world.states = {}
    assert world.resume(retry=frozenset({"failed", "diverged"})) == 0
    assert not checkpoints.exists()


def test_a_trial_that_did_not_reach_its_loss_is_a_result(world: World, small_study: StudyConfig) -> None:
    world.states = {"kl=0.5": "not_reached"}
    assert world.run(small_study) == 0
    assert "6 trials planned: 4 complete, 2 not_reached" in world.said()
    assert world.resume() == 0
    assert world.resume(retry=frozenset({"failed", "diverged"})) == 0
    assert len(world.ran) == 1
    assert not world.folder.child(CHECKPOINTS).exists()


def test_a_complete_study_answers_at_once(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    world.said()
    assert world.run(small_study.model_copy(update={"description": "reworded"})) == 0
    assert world.resume() == 0
    assert len(world.ran) == len(world.reports) == 1
    assert world.said().splitlines()[:3] == [
        "small is finished. 6 trials planned: 6 complete",
        f"trials: fisher-study show small --storage {world.storage.location}",
        f"report: {world.folder.location}/report/report.html",
    ]


def test_a_missing_report_is_written_without_running(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    world.folder.child("report").delete("report.html")
    assert world.run(small_study) == 0
    assert len(world.ran) == 1
    assert len(world.reports) == 2


def test_another_configuration_is_refused_with_the_difference(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    before = world.folder.read("study.json")
    other = narrow(small_study, seeds=3, values={"stages.1.epochs": "9"})
    with pytest.raises(
        InputError, match=r"\(there -> asked\): stages\.1\.epochs: 3 -> 9; seeds: 2 -> 3\. Give the new"
    ):
        world.run(other)
    assert world.folder.read("study.json") == before


def test_a_folder_that_is_no_study_is_left_alone(world: World, small_study: StudyConfig) -> None:
    world.folder.write("thesis.txt", b"mine")
    with pytest.raises(InputError, match="exists and is no study; choose another name with --name"):
        world.run(small_study)
    assert world.folder.names() == ["thesis.txt"]


def test_run_and_resume_go_on_where_it_stopped(world: World, small_study: StudyConfig) -> None:
    world.after = lambda interruption, count: interruption.request(signal.SIGTERM) if count == 2 else None
    assert world.run(small_study) == 143
    assert world.said().splitlines()[-2:] == [
        "interrupted (SIGTERM). 6 trials planned: 2 complete, 4 unfinished",
        f"go on with: fisher-study resume small --storage {world.storage.location}",
    ]
    assert world.reports == []
    world.after = lambda interruption, count: interruption.request(signal.SIGINT) if count == 1 else None
    assert world.run(small_study) == 130
    world.after = lambda interruption, count: None
    assert world.resume() == 0
    assert world.ran == [["baseline", "baseline"], ["kl=0"], ["kl=0", "kl=0.5", "kl=0.5"]]
    assert world.folder.child("runs").names() == ["0001", "0002", "0003"]


def test_a_joint_search_goes_on_with_what_its_slots_found(world: World) -> None:
    space = {"stages.0.penalties.l2.weight": LogUniform(low=1e-6, high=1.0)}
    joint = StudyConfig(name="small", arms=(Arm(name="baseline"), Arm(name="search", search=space, slots=4)))
    world.states = {"search#002": "failed"}
    world.after = lambda interruption, count: interruption.request(signal.SIGTERM) if count == 3 else None
    assert world.run(joint) == 143
    assert world.known == {"search": []}
    told = world.searches["search"].told
    assert [state for state, _, _ in told] == ["COMPLETE", "FAIL"]
    world.after = lambda interruption, count: None
    assert world.resume() == 3
    assert world.ran[1] == ["search#003", "search#004"]
    assert world.known == {"search": told}
    drawn = read_draws(world.folder)
    records = read_trials(world.folder)[0]
    assert drawn == {trial_id: record.config for trial_id, record in records.items() if record.arm == "search"}
    assert len({str(config) for config in drawn.values()}) == 4
    before = drawn[read_study(world.folder).plan[2].trial_id]
    world.states = {}
    assert world.resume(retry=frozenset({"failed"})) == 0
    assert [state for state, _, _ in world.known["search"]] == ["COMPLETE"] * 3
    assert (
        read_draws(world.folder)[read_study(world.folder).plan[2].trial_id] == before
    )  # it is tried again, not drawn again


def test_a_grid_loads_no_optuna(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    assert world.searches == {}


def test_resume_adds_to_the_plan(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    before = read_study(world.folder)
    assert world.resume(seeds=3, arms="kl=2") == 0
    assert world.ran[1] == ["baseline", "kl=0", "kl=0.5", "kl=2", "kl=2", "kl=2"]
    after = read_study(world.folder)
    assert [row for row in after.plan if row in before.plan] == list(before.plan)
    assert len(after.plan) == 12
    assert after.study_config().seeds == 3
    assert (after.created, after.versions, after.fingerprints) == (before.created, before.versions, before.fingerprints)
    assert "12 trials planned: 12 complete" in world.said()
    assert world.resume(seeds=3, arms="kl=2") == 0
    assert len(world.ran) == 2


def test_resume_adds_an_arm_of_the_named_study(world: World) -> None:
    world.run(narrow(load_study("quick"), name="small", arms="baseline"))
    assert world.resume(arms="l2=0.001") == 0
    assert world.ran == [["baseline"], ["l2=0.001"]]
    with pytest.raises(InputError, match="study small has no arm 'l3'; its arms are baseline, l2, kl"):
        world.resume(arms="l3")


def test_an_interruption_before_it_starts_leaves_the_plan(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run(small_study)
    before = world.folder.read("study.json")
    monkeypatch.setattr("study.store.lock.time.sleep", lambda seconds: signal.raise_signal(signal.SIGTERM))
    assert world.resume(seeds=3) == 143
    assert world.folder.read("study.json") == before


def test_added_trials_of_changed_weights_are_refused(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    ids = {row.trial_id for row in read_study(world.folder).plan}
    world.assets.weights = "other"
    with pytest.raises(InputError, match="this changed: models bert-base-multilingual-cased: weights -> other"):
        world.resume(seeds=3)
    assert world.resume(seeds=3, accept_changes=True) == 0
    plan = read_study(world.folder).plan
    assert ids < {row.trial_id for row in plan}
    assert len(plan) == 9


def test_an_unreadable_record_is_run_again(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    trials = world.folder.child("trials")
    trials.write(read_study(world.folder).plan[3].trial_id + ".json", b"{")
    assert world.resume() == 0
    assert world.ran[1] == ["kl=0"]


def test_failures_are_3_and_can_be_tried_again(world: World, small_study: StudyConfig) -> None:
    world.states = {"kl=0": "failed", "kl=0.5": "diverged"}
    assert world.run(small_study) == 3
    assert "try them again with: fisher-study resume small --storage" in world.said()
    assert world.resume() == 3
    assert len(world.ran) == 1
    world.states = {"kl=0.5": "diverged"}
    assert world.resume(retry=frozenset({"failed"})) == 3
    assert world.ran[1] == ["kl=0", "kl=0"]
    assert "--retry diverged" in world.said()
    world.states = {}
    assert world.resume(retry=frozenset({"failed", "diverged"})) == 0
    assert world.ran[2] == ["kl=0.5", "kl=0.5"]


def test_a_study_without_a_complete_trial_has_no_report(world: World, small_study: StudyConfig) -> None:
    world.states = dict.fromkeys(["baseline", "kl=0", "kl=0.5"], "failed")
    assert world.run(small_study) == 3
    assert world.reports == []
    assert "6 trials planned: 0 complete, 6 failed" in world.said()


def test_a_sweep_that_just_ends_is_1(world: World, small_study: StudyConfig) -> None:
    world.after = lambda interruption, count: interruption.request("another driver took the study over")
    assert world.run(small_study) == 1
    assert "interrupted (another driver took the study over)" in world.said()
    assert world.storage.child("small").names() == ["runs", "study.json", "trials"]


def test_a_storage_that_is_deleted_gets_no_record_and_is_1(world: World, small_study: StudyConfig) -> None:
    world.after = lambda interruption, count: world.folder.delete()
    with pytest.raises(FileNotFoundError, match=r"small/study\.json is gone"):
        world.run(small_study)
    assert not world.folder.exists("trials")

    def deleted(interruption: Any, count: int) -> None:
        world.folder.delete()
        interruption.request("the record of kl=0 cannot be written: [errno 28]")

    world.after = deleted
    world.folder.delete()
    assert world.run(small_study) == 1
    assert world.said().endswith(
        "interrupted (the record of kl=0 cannot be written: [errno 28]); delete the folder and run the study again\n"
    )


def test_a_used_up_time_budget_is_143(world: World, small_study: StudyConfig) -> None:
    world.after = lambda interruption, count: interruption.request(TIME_BUDGET) if count == 2 else None
    assert world.run(small_study) == 143
    assert world.said().splitlines()[-2:] == [
        "interrupted (the time budget is used up). 6 trials planned: 2 complete, 4 unfinished",
        f"go on with: fisher-study resume small --storage {world.storage.location}",
    ]


def test_missing_trials_without_an_interruption_are_1(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_only(trials: Sequence[PlannedTrial], *rest: Any, searches: Any) -> None:
        world.sweep(trials[:1], *rest, searches=searches)

    monkeypatch.setattr(study.sweep.tune, "sweep", first_only)
    assert world.run(small_study) == 1
    assert "the sweep ended early; go on with: fisher-study resume small" in world.said()


def test_an_interruption_while_loading_leaves_nothing(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "resolve", lambda *_: signal.raise_signal(signal.SIGINT))
    assert world.run(small_study) == 130
    assert "interrupted before anything was written" in world.said()
    assert not world.storage.exists()


def test_an_interruption_while_the_lock_settles_leaves_nothing(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.store.lock.time.sleep", lambda seconds: signal.raise_signal(signal.SIGTERM))
    assert world.run(small_study) == 143
    assert not world.folder.exists()


def test_a_start_that_was_killed_is_no_obstacle(world: World, small_study: StudyConfig) -> None:
    for name in (LOCK_FILE, ".study.json.1.part"):
        world.folder.write(name, b"{")
    assert world.run(small_study) == 0


def test_a_second_driver_is_refused_at_once(world: World, small_study: StudyConfig) -> None:
    world.states = {"baseline": "failed"}
    world.run(small_study)
    lock = DriverLock(world.folder, lambda: None)
    lock.acquire()
    with pytest.raises(InputError, match="is being run by process"):
        world.resume(retry=frozenset({"failed"}))
    lock.release()


def test_the_lock_is_held_during_the_sweep_and_given_back(world: World, small_study: StudyConfig) -> None:
    held: list[bool] = []
    world.after = lambda interruption, count: held.append(world.folder.exists(LOCK_FILE))
    world.run(small_study)
    assert held == [True] * 6
    assert not world.folder.exists(LOCK_FILE)


def test_the_commit_of_a_hub_model_is_recorded_and_another_with_the_same_content_is_no_change(
    world: World, small_study: StudyConfig
) -> None:
    world.assets.revision = "abc123"
    world.after = lambda interruption, count: interruption.request(signal.SIGINT)
    world.run(small_study)
    assert read_study(world.folder).fingerprints["revisions"] == {"bert-base-multilingual-cased": "abc123"}
    world.after = lambda interruption, count: None
    world.assets.revision = "def456"
    assert world.resume() == 0


@pytest.mark.parametrize("change", ["code", "weights"])
def test_a_change_of_code_or_weights_stops_a_resume(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    world.after = lambda interruption, count: interruption.request(signal.SIGINT)
    world.run(small_study)
    world.after = lambda interruption, count: None
    ids = [row.trial_id for row in read_study(world.folder).plan]
    if change == "code":
        monkeypatch.setattr(launch, "software", lambda: VERSIONS | {"version.code": "new"})
        message = "this changed: version.code: c0de -> new. Trials of both would be mixed"
    else:
        world.assets.weights = "other"
        message = "this changed: models bert-base-multilingual-cased: weights -> other"
    with pytest.raises(InputError, match=message):
        world.resume()
    assert world.resume(accept_changes=True) == 0
    assert list(read_trials(world.folder)[0]) == sorted(ids)
    # Trials take the fingerprints of their records from here.
    assert world.used.fingerprints(small_study.base) == (world.assets.weights, "rows")


def test_a_storage_that_refuses_writing_leaves_nothing(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Store._at

    def full(self: Store, name: str) -> str:
        if name.startswith(".study.json"):
            raise OSError(28, "No space left on device")
        return at(self, name)

    monkeypatch.setattr(Store, "_at", full)
    with pytest.raises(
        InputError, match=r"^cannot write to [^:]*small: No space left on device; choose another --storage$"
    ):
        world.run(small_study)
    assert not world.folder.exists()


def test_a_preview_writes_nothing(world: World, small_study: StudyConfig) -> None:
    launch.preview(small_study, world.storage, Resources(), world.console)
    said = world.said()
    assert "small: 6 trials" in said
    assert "models: bert-base-multilingual-cased: weights" in said
    assert "6 timed" in said
    assert "nothing was run or written" in said
    assert not world.storage.exists()
    world.run(small_study)
    launch.preview(small_study, world.storage, Resources(), world.console)
    assert "exists already" in world.said()


def test_a_preview_times_what_a_slot_may_draw(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[PlannedTrial] = []
    monkeypatch.setattr(launch, "print_estimate", lambda trials, *_: timed.extend(trials))
    joint = Arm(name="joint", search={"stages.0.penalties.fisher.weight": LogUniform(low=0.5, high=1.0)}, slots=2)
    study = small_study.model_copy(update={"arms": (*small_study.arms, joint)})
    launch.preview(study, world.storage, Resources(), world.console)
    weights = [t.config.stages[0].penalties.fisher.weight for t in timed if t.slot is not None]
    assert weights == [1.0] * 4


def test_an_arm_that_the_model_cannot_run_is_not_planned_and_is_no_other_study(world: World) -> None:
    world.assets.model_type = "mpt"  # which has no rate of dropout
    small = narrow(load_study("xnli", bundled=True), name="small", arms="baseline,l2,dropout=0.3", seeds=1)
    launch.preview(small, world.storage, Resources(), world.console)
    said = world.said()
    assert "small: 7 trials" in said
    assert "dropout=0.3" not in said
    assert "7 timed" in said
    assert world.run(small) == 0
    assert "small: 7 trials" in world.said()
    assert world.run(small) == 0
    assert len(world.ran) == 1
    assert world.resume(seeds=2) == 0
    assert {row.arm for row in read_study(world.folder).planned()} == {"baseline", "l2"}


def test_retry_takes_two_words() -> None:
    assert launch.parse_retry(None) == frozenset()
    assert launch.parse_retry("failed,diverged") == {"failed", "diverged"}
    with pytest.raises(InputError, match="--retry takes failed, diverged or both with a comma, got 'complete'"):
        launch.parse_retry("failed,complete")


def test_the_command_to_go_on_can_be_pasted(tmp_path: Path) -> None:
    folder = open_store(str(tmp_path / "my studies")).child("small")
    assert study_command("resume", folder) == f"fisher-study resume small --storage '{tmp_path}/my studies'"


def test_the_command_to_go_on_has_the_same_resources(world: World, small_study: StudyConfig) -> None:
    world.after = lambda interruption, count: interruption.request(signal.SIGINT)
    resources = Resources(address="head:6379", cpus_per_trial=2.0, save_models="all")
    launch.run(small_study, world.storage, resources, world.console)
    storage = world.storage.location
    assert world.said().splitlines()[-1] == (
        f"go on with: fisher-study resume small --storage {storage} --address head:6379 --cpus-per-trial 2 "
        "--save-models all"
    )


def test_another_number_of_cpus_is_a_change(world: World, small_study: StudyConfig) -> None:
    world.provenance = {"cpus": 2.0}
    world.after = lambda interruption, count: interruption.request(signal.SIGINT)
    world.run(small_study)
    changed = r"this changed: threads of a trial \(--cpus-per-trial\): 2 -> 1\. "
    advice = r".* or go on with: fisher-study resume small --storage \S+ --seeds 3 --accept-changes$"
    with pytest.raises(InputError, match=changed + advice):
        world.resume(seeds=3)
    world.after = lambda interruption, count: interruption.request(signal.SIGINT) if count == 2 else None
    assert launch.resume("small", world.storage, Resources(cpus_per_trial=2.5), world.console) == 130  # two threads
    world.after = lambda interruption, count: None
    world.provenance = {"cpus": 0.5}
    assert world.resume(accept_changes=True) == 0
    assert world.resume(seeds=3) == 0  # of two that are there, both are known


def test_an_interrupted_retry_is_interrupted(world: World, small_study: StudyConfig) -> None:
    world.states = {"kl=0": "failed"}
    world.run(small_study)
    world.states = {}
    world.after = lambda interruption, count: interruption.request(signal.SIGINT) if count == 1 else None
    world.said()
    assert world.resume(retry=frozenset({"failed"}), accept_changes=True) == 130
    assert world.said().splitlines()[-2:] == [
        "interrupted (SIGINT). 6 trials planned: 5 complete, 1 failed",
        f"go on with: fisher-study resume small --storage {world.storage.location} --retry failed --accept-changes",
    ]
    world.after = lambda interruption, count: None
    assert world.resume(retry=frozenset({"failed"})) == 0


def test_a_record_that_the_storage_does_not_give_is_not_written_over(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run(small_study)
    first = read_study(world.folder).plan[0].trial_id
    read = Store.read

    def denied(self: Store, name: str) -> bytes:
        if name == f"{first}.json":
            raise StorageError(f"{name} cannot be read: Permission denied")
        return read(self, name)

    monkeypatch.setattr(Store, "read", denied)
    with pytest.raises(InputError, match=rf"{first}\.json cannot be read: Permission denied"):
        world.resume()


def test_a_folder_with_hidden_files_is_left_as_it_was(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.folder.write(".gitignore", b"*")
    monkeypatch.setattr("study.store.lock.time.sleep", lambda seconds: signal.raise_signal(signal.SIGTERM))
    assert world.run(small_study) == 143
    assert world.folder.names() == [".gitignore"]


def test_an_interruption_after_the_last_trial_is_none(world: World, small_study: StudyConfig) -> None:
    world.after = lambda interruption, count: interruption.request(signal.SIGTERM) if count == 6 else None
    assert world.run(small_study) == 0
    assert world.said().splitlines()[-3] == "6 trials planned: 6 complete"


def test_a_report_that_cannot_be_written_hides_no_result(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: str, out: str | None) -> Any:
        raise InputError("cannot write there")

    monkeypatch.setattr(analysis.report, "write_report", refused)
    assert world.run(small_study) == 1
    assert world.said().splitlines()[-2:] == [
        "6 trials planned: 6 complete",
        f"no report was written (cannot write there); write it with: "
        f"fisher-study report small --storage {world.storage.location}",
    ]


def test_control_c_during_the_report_is_130(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: str, out: str | None) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(analysis.report, "write_report", interrupted)
    assert world.run(small_study) == 130
    assert "no report was written (interrupted); write it with" in world.said()


def test_a_storage_that_is_away_at_the_end_says_how_to_go_on(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Store, name: str = "") -> bool:
        raise OSError(5, "Input/output error")

    def goes_away(interruption: Any, count: int) -> None:
        if count == 6:
            interruption.request("the record of kl=0.5 cannot be written: away")
            monkeypatch.setattr(Store, "names", away)

    world.after = goes_away
    assert world.run(small_study) == 1
    assert world.said().splitlines()[-2:] == [
        "interrupted (the record of kl=0.5 cannot be written: away). "
        f"What is in {world.folder.location} cannot be read now: [Errno 5] Input/output error",
        f"when it can, go on with: fisher-study resume small --storage {world.storage.location}",
    ]


@pytest.mark.parametrize("which", ["study.json", "a record"])
def test_what_another_run_did_meanwhile_is_not_written_over(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    world.after = lambda interruption, count: interruption.request(signal.SIGINT)
    if which == "a record":
        world.run(small_study)
    world.after = lambda interruption, count: None

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(launch, "resolve", world.resolve)
        assert world.run(small_study) == 0  # another driver, from start to end
        return world.resolve(*given)

    monkeypatch.setattr(launch, "resolve", meanwhile)
    with pytest.raises(InputError, match="another run changed .*small in the meantime; type the command again"):
        world.run(small_study)
    assert world.ran[-1]
    assert world.run(small_study) == 0
    assert world.folder.names() == ["report", "runs", "study.json", "trials"]


def test_of_many_nodes_and_a_local_storage_a_note_tells(
    world: World, small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study.sweep.cluster, "session", lambda resources: nullcontext(replace(resources, nodes=2)))
    world.run(small_study)
    assert (
        f"note: 2 nodes and a local storage: a node that does not see {world.folder.location} keeps no checkpoint"
    ) in world.said()


def test_records_that_cannot_be_read_run_again_and_are_named(world: World, small_study: StudyConfig) -> None:
    world.run(small_study)
    first = read_study(world.folder).plan[0].trial_id
    world.folder.child("trials").write(f"{first}.json", b"{")
    world.said()
    assert world.resume() == 0
    assert f"records that cannot be read, so that their trials run again: {first}" in world.said()


def test_workers_write_where_they_see_the_study(tmp_path: Path) -> None:
    folder = open_store(str(tmp_path / "study"))
    models = WorkerFolder(folder, "models").child("id")
    with pytest.raises(FileNotFoundError, match=r"does not see .*study\.json"):
        models.write("config.json", b"{}")
    assert not folder.exists()
    folder.write("study.json", b"")
    models.write("config.json", b"{}")
    assert models.read("config.json") == folder.child("models").child("id").read("config.json") == b"{}"
