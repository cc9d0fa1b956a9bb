"""Pretrain the mini model again: ``python -m tools.bundled.model --out FOLDER [--seed 1] [--steps 3600]``.

It takes about five minutes on one thread. With OMP_NUM_THREADS=1 in the environment, so that NumPy's linear algebra
also has one thread, the same machine gives the same bytes each time.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn, TimeElapsedColumn

from tools.bundled.model.objective import Figures
from tools.bundled.model.training import NUM_RECORDS, NUM_STEPS, SEED, Progress, pretrain

STEPS_PER_LINE = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, train, and print where the model is."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bundled.model", description="Pretrain the mini multilingual BERT again."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model into")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of every draw (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=NUM_STEPS, help="batches to train on (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"--steps takes a number of 1 or more, got {options.steps}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out takes a folder that can be written to: {error}")
    torch.set_num_threads(1)
    console = Console()
    console.print(
        f"Saying {NUM_RECORDS:,} meanings in four languages, and encoding them: half a minute", soft_wrap=True
    )
    with _watching(console, options.steps) as report:
        pretrain(options.out, seed=options.seed, num_steps=options.steps, report=report)
    console.print(f"The model is in {options.out}", soft_wrap=True)


@contextmanager
def _watching(console: Console, num_steps: int) -> Iterator[Callable[[Progress], None]]:
    """Show a progress bar on a terminal, and a line every hundred steps elsewhere."""
    recent: list[Figures] = []

    def mean_figures(progress: Progress) -> str:
        recent.append(progress.figures)
        del recent[:-STEPS_PER_LINE]
        loss, masked, pair, tag = (_mean(column) for column in zip(*recent, strict=True))
        return f"masked loss {loss:.2f}, accuracy: masked {masked:.2f}, pair {pair:.2f}, tag {tag:.2f}"

    if not console.is_terminal:

        def print_line(progress: Progress) -> None:
            text = mean_figures(progress)
            if progress.step % STEPS_PER_LINE == 0 or progress.step == num_steps:
                console.print(f"step {progress.step} of {num_steps}: {text}", soft_wrap=True)

        yield print_line
        return
    columns = (*Bar.get_default_columns(), TimeElapsedColumn(), TextColumn("{task.fields[figures]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("pretraining", total=num_steps, figures="")
        yield lambda progress: bar.update(task, completed=progress.step, figures=mean_figures(progress))


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; a batch of short pairs may ask for nothing."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan


if __name__ == "__main__":
    main()
