#!/bin/bash
# UNTESTED: written for SLURM, never run on one. It starts Ray on the nodes of a job and one study on that Ray.
#
#   STUDY=xnli STORAGE=/shared/studies sbatch --nodes=2 --cpus-per-task=8 --gpus-per-node=4 deploy/slurm.sh --seeds 3
#
# Submit it from the repository, after `make install`; arguments go to `fisher-study run`. Submitted again with the same
# arguments, it goes on with what is left. STORAGE must be a folder that every node sees.
#SBATCH --job-name=fisher-study
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --output=%x-%j.log
set -euo pipefail

cd "${SLURM_SUBMIT_DIR:?submit this with sbatch}"
bin=$PWD/.venv/bin
study=${STUDY:-xnli}
storage=${STORAGE:-$PWD/studies}

# Only who knows the token can use this Ray; srun hands the environment to every node.
RAY_AUTH_TOKEN=$("$bin/python" -c "import secrets; print(secrets.token_hex(32))")
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export THP_MEM_ALLOC_ENABLE=1  # torch takes huge pages: fewer page faults
export RAY_memory_monitor_refresh_ms=0  # Tune does not survive what Ray's monitor does to workers; the kernel does it well
export RAY_TMPDIR=/tmp/ray-$SLURM_JOB_ID  # on each node's own disk, and short: it holds sockets

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
address=$ip:$((20000 + SLURM_JOB_ID % 10000))  # another port for each job, should two share a node
resources=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}")

nodes_up() { "$bin/ray" status --address="$address" 2>/dev/null | grep -c ' node_' || true; }

wait_for() {  # so many nodes, for ten minutes at the most
    for _ in $(seq 120); do
        [ "$(nodes_up)" -ge "$1" ] && return
        sleep 5
    done
    echo "Ray has $(nodes_up) of $1 nodes after ten minutes" >&2
    exit 1
}

# Said again: srun does not inherit it from sbatch, and Ray would be bound to one CPU.
cpus=(--cpus-per-task="$SLURM_CPUS_PER_TASK")
srun --nodes=1 --ntasks=1 "${cpus[@]}" --nodelist="$head" "$bin/ray" start --head --node-ip-address="$ip" --port="${address##*:}" \
    --include-dashboard=false "${resources[@]}" --block &
wait_for 1
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    others=$((SLURM_JOB_NUM_NODES - 1))
    srun --nodes="$others" --ntasks="$others" "${cpus[@]}" --exclude="$head" \
        "$bin/ray" start --address="$address" "${resources[@]}" --block &
    wait_for "$SLURM_JOB_NUM_NODES"
fi

# Five minutes before the time is up SLURM sends SIGTERM: the study ends cleanly and says how to go on.
"$bin/fisher-study" run "$study" --address "$address" --storage "$storage" "$@" &
driver=$!
trap 'kill -TERM $driver' TERM
code=0
wait $driver || code=$?
while kill -0 $driver 2>/dev/null; do  # the signal ended the first wait, not the study
    code=0
    wait $driver || code=$?
done
exit $code
