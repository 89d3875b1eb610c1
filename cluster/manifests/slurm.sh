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
port=$((20000 + SLURM_JOB_ID % 20000))
cpus=${SLURM_CPUS_ON_NODE:-1}

# The driver: it alone has the keys. It leaves its number, so that it can be asked to stop.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/driver.sh" <<'DRIVER'
keys=${KEYS:-$HOME/.weak-to-strong-keys}
if [ -f "$keys" ]; then
    set -a
    . "$keys"
    set +a
fi
echo "$$" > "$FOLDER/pid"
export RAY_ADDRESS=$ADDRESS
exec python -m search run "$@"
DRIVER

# Ray on all nodes, the driver on the first once all have come, within five minutes; Ray ends with the driver.
export FOLDER=$folder ADDRESS=${nodes[0]}:$port RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
srun --nodes="${#nodes[@]}" --ntasks="${#nodes[@]}" \
    ray symmetric-run --address "$ADDRESS" --min-nodes "${#nodes[@]}" --num-cpus="$cpus" \
    -- bash "$folder/driver.sh" "$config" --out "$out" "$@" &
ray=$!
stopped=false
trap 'stopped=true; kill -TERM "$(cat "$folder/pid")" 2>/dev/null || true' TERM INT

code=0
wait "$ray" || code=$?
if [ "$stopped" = true ]; then # the wait was cut short by the signal: now wait for the run to save itself
    code=0
    wait "$ray" || code=$?
    if [ "$code" -eq 130 ]; then
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit "$code"
