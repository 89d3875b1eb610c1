#!/usr/bin/env bash
# One run on a Slurm allocation: Ray across its nodes, the driver on the first. From the repository's root, on
# a file system that all nodes see:
#   sbatch --nodes=4 --gpus-per-node=8 cluster/manifests/slurm.sh configs/qwen.yaml /shared/runs/qwen \
#     --set cache=/shared/cache
# Before its time is up the run saves itself and the job is queued again; it goes on where it stopped.
# Keys: a file named by KEYS (default ~/.weak-to-strong-keys, mode 600) with lines NAME=value.
#SBATCH --job-name=weak-to-strong
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: sbatch [options] slurm.sh CONFIG OUT [--set KEY=VALUE ...]" >&2
    exit 2
fi
config=$1
out=$2
shift 2

# Other users share the network: nobody without the token may use this Ray.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 20000))
address="$head:$port"
cpus=${SLURM_CPUS_ON_NODE:-1}

srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
    ray start --head --block --node-ip-address="$head" --port="$port" --num-cpus="$cpus" --include-dashboard=false &

# A node that starts before the head waits for it by itself.
if [ "${#nodes[@]}" -gt 1 ]; then
    srun --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --exclude="$head" --overlap \
        ray start --block --address="$address" --num-cpus="$cpus" &
fi

# Wait for all nodes, for five minutes at most; the run itself takes what has come.
export RAY_ADDRESS=$address
python - "${#nodes[@]}" <<'PYTHON'
import sys
import time

import ray

deadline = time.monotonic() + 300
while True:
    try:
        ray.init(log_to_driver=False)
        break
    except ConnectionError:
        if time.monotonic() > deadline:
            sys.exit("the head of the Ray cluster did not start")
        time.sleep(2)
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[1]) and time.monotonic() < deadline:
    time.sleep(2)
PYTHON

keys=${KEYS:-$HOME/.weak-to-strong-keys}
if [ -f "$keys" ]; then
    set -a
    # shellcheck source=/dev/null
    . "$keys"
    set +a
fi

python -m search run "$config" --out "$out" "$@" &
driver=$!
stopped=false
trap 'stopped=true; kill -TERM "$driver" 2>/dev/null || true' TERM INT

code=0
wait "$driver" || code=$?
if [ "$stopped" = true ]; then # the wait was cut short by the signal: now wait for the run to save itself
    code=0
    wait "$driver" || code=$?
    if [ "$code" -eq 130 ]; then
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit "$code"
