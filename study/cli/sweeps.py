"""``run`` and ``resume``, and the resource options that both take."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from study.cli.shared import Storage, console
from study.sweep.resources import LOCAL, Resources, SaveModels, parse_duration

Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors and the summary at the end.")]


def _resources(
    address: Annotated[str, typer.Option(help="Ray cluster to join; 'local' starts Ray on this machine.")] = LOCAL,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Trials at a time; default: as many as fit.")] = None,
    cpus_per_trial: Annotated[float, typer.Option(min=0.01, help="CPUs, and so threads, of one trial.")] = 1.0,
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0.0, help="GPUs of one trial; default: 1 where there are any.")
    ] = None,
    max_failures: Annotated[
        int, typer.Option(min=0, help="Further tries of a trial that raised or whose worker died.")
    ] = 1,
    trial_time_limit: Annotated[
        str | None, typer.Option(metavar="2h", help="A try of a trial that takes longer ends as failed.")
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option(metavar="8h", help="End the sweep after this time; resume goes on.")
    ] = None,
    save_models: Annotated[
        SaveModels, typer.Option(help="Save the classifiers, in models/ of the study's folder.")
    ] = "none",
    save_predictions: Annotated[
        bool, typer.Option("--save-predictions", help="Save the predictions, in predictions/ of the study's folder.")
    ] = False,
) -> Resources:
    """The resources that the options describe."""
    limits = parse_duration(trial_time_limit), parse_duration(time_budget)
    return Resources(
        address, concurrency, cpus_per_trial, gpus_per_trial, max_failures, *limits, save_models, save_predictions
    )


def takes_resources(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's keyword ``resources`` by the resource options, in the signature that typer sees."""
    options = inspect.signature(_resources, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True).parameters

    @functools.wraps(command)
    def typed(**values: Any) -> None:
        resources = _resources(**{name: values.pop(name) for name in options})
        command(**values, resources=resources)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name in own
        for parameter in (options.values() if name == "resources" else [own[name]])
    ]
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return typed


@takes_resources
def run(
    study: Annotated[str, typer.Argument(metavar="NAME|FILE.py:FUNCTION", help="A named study, or one of your own.")],
    name: Annotated[str | None, typer.Option(help="Another name for this run of the study.")] = None,
    arms: Annotated[
        str | None, typer.Option(help='Arms to run, or single values: "baseline,kl=0.6,fpen=0.01".')
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats of every configuration.")] = None,
    bundled: Annotated[
        bool, typer.Option("--bundled", help="The same study on the bundled model, data and protocol.")
    ] = False,
    languages: Annotated[str | None, typer.Option(help="Target languages: de,es,zh.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change the base of every arm; repeatable.")
    ] = None,
    storage: Storage = "./studies",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, check the input; run no trial.")] = False,
    *,
    resources: Resources,
    quiet: Quiet = False,
) -> None:
    """Run a study, or what is left of it, and write its report."""
    from study.plan.loading import load_study
    from study.plan.narrowing import narrow, parse_settings
    from study.store.storage import open_store
    from study.sweep import launch

    settings = [*(set_ or []), *([] if languages is None else [f"data.languages={languages}"])]
    chosen = narrow(load_study(study, bundled), name=name, arms=arms, seeds=seeds, values=parse_settings(settings))
    if dry_run:
        launch.preview(chosen, open_store(storage), resources, console())
        return
    raise typer.Exit(launch.run(chosen, open_store(storage), resources, console(quiet)))


@takes_resources
def resume(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the study.")],
    retry: Annotated[
        str | None, typer.Option(metavar="failed,diverged", help="Also run again the trials in these states.")
    ] = None,
    arms: Annotated[
        str | None, typer.Option(help='Arms or values to add to the plan: "fpen,kl=0.6"; nothing planned is changed.')
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats of every configuration, to add to.")] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although code, data or weights changed.")
    ] = False,
    storage: Storage = "./studies",
    *,
    resources: Resources,
    quiet: Quiet = False,
) -> None:
    """Run the planned trials that have no result yet."""
    from study.store.storage import open_store
    from study.sweep import launch

    states, out = launch.parse_retry(retry), console(quiet)
    again = functools.partial(launch.resume, retry=states, accept_changes=accept_changes, arms=arms, seeds=seeds)
    raise typer.Exit(again(name, open_store(storage), resources, out))
