"""Ray for the duration of a sweep: started here or joined, and how many trials it can run at once."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import ray

from study.sweep.failed_start import why_not
from study.sweep.resources import LOCAL, Resources
from trainables.cpus import usable_cpus
from trainables.errors import InputError, one_line

CONNECT_SECONDS = 5.0


@contextmanager
def session(resources: Resources) -> Iterator[Resources]:
    """Ray for the duration of a sweep; a connection that the program already has is used and kept.

    Yields:
        The resources, with the number of GPUs decided and the number of nodes filled in.

    Raises:
        InputError: There is no such cluster, or none of its nodes can ever run a trial.
        KeyboardInterrupt: A signal came while Ray was starting.
    """
    for library in ("ray.tune", "ray.train"):  # the sweep itself reports what failed
        logging.getLogger(library).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield _decide(resources)
        return
    with TemporaryDirectory(prefix="fisher-study-") as empty:
        _connect(resources.address, empty)
        try:
            yield _decide(resources)
        finally:
            ray.shutdown()


def _connect(address: str, empty: str) -> None:
    """Start or join Ray from an empty folder, which remains the working directory of its processes."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        options |= {"include_dashboard": False, "num_cpus": usable_cpus()}
    else:
        _refuse_silence(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    terminated = False
    try:
        # Ray puts the working directory first on its workers' search path. A file of the user's there that has the
        # name of one of our modules, or of a library, would be imported instead.
        with chdir(empty):
            ray.init(address=address, **options)
    except SystemExit:  # how Ray's own handlers, which have replaced ours by now, answer SIGTERM
        terminated = True
    except Exception as error:  # a bare Exception if Ray does not start in time
        if address == LOCAL:
            raise InputError(f"Ray did not start on this machine: {why_not(error)}") from None
        raise InputError(f"cannot use the Ray cluster at {address}: {one_line(error)}") from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray's own handler ends the process without telling us
    if terminated:
        signal.raise_signal(signal.SIGTERM)


def _refuse_silence(address: str) -> None:
    """Refuse an address at which nothing answers: Ray itself would try for minutes to reach the cluster."""
    if "://" in address:
        raise InputError(f"--address takes HOST:PORT or auto, got {address}: Ray Client cannot carry a sweep")
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            start = f"ray start --head --port={port}"
            raise InputError(f"no Ray cluster answers at {address} ({error}); start one with: {start}") from None


def _nodes() -> list[dict[str, float]]:
    """The resources of each live node."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _decide(resources: Resources) -> Resources:
    nodes = _nodes()
    gpus = resources.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
    cpus = resources.cpus_per_trial
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        have = "; ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise InputError(
            f"a trial asks for {cpus:g} CPUs and {gpus:g} GPUs, but no node has them (there is {have}); "
            f"lower --cpus-per-trial or --gpus-per-trial"
        )
    return replace(resources, gpus_per_trial=gpus, nodes=len(nodes))


def capacity(resources: Resources) -> int:
    """How many trials the current nodes can run at once."""
    asked = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial or 0.0}
    nodes = _nodes()
    return max(1, sum(min(int(node.get(k, 0) / n + 1e-9) for k, n in asked.items() if n > 0) for node in nodes))
