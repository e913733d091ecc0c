#!/usr/bin/env bash
# Starts a Ray cluster inside one SLURM allocation and runs fedrl-ray on it:
#   sbatch --nodes=3 cluster/slurm.sh sweep tune_configs/sweep-cartpole.yaml --output /shared/sweep
# The output must be on storage that all nodes mount. A job is queued again if it is preempted, if
# it loses its first node, or shortly before its time limit. It then resumes from the output.
#SBATCH --job-name=fedrl-ray
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --output=fedrl-ray-%j.out
set -euo pipefail

VENV=${FEDRL_RAY_VENV:-$PWD/.venv}       # all nodes see it
SECRETS=${FEDRL_RAY_SECRETS:-$HOME/.ray} # all nodes see it, but only this user
LAST_SECONDS=90 # to end a round and write a checkpoint, of the 120 s that --signal leaves
START_SECONDS=${FEDRL_RAY_START_SECONDS:-300}

main() {
  # shellcheck disable=SC1091
  source "$VENV/bin/activate"
  trap stop EXIT
  trap requeue USR1
  trap 'exit 143' TERM
  make_token
  start_nodes
  run "$@"
}

# The job has a token of its own, so that other jobs and users cannot use its Ray.
make_token() {
  export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
  export RAY_AUTH_TOKEN_PATH=$SECRETS/slurm-$SLURM_JOB_ID
  (umask 077 && mkdir -p "$SECRETS" &&
    python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH")
}

# Start the head on the first node, where this script runs, and a Ray node on each of the others.
start_nodes() {
  mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
  local ip port node
  ip=$(hostname -I | cut -d ' ' -f 1)
  port=$(free_port)
  export RAY_ADDRESS=$ip:$port
  start_node "${nodes[0]}" --head --node-ip-address="$ip" --port="$port" \
    --dashboard-host=127.0.0.1 --dashboard-port="$(free_port)"
  wait_for_nodes 1
  for node in "${nodes[@]:1}"; do
    start_node "$node" --address="$RAY_ADDRESS"
  done
  wait_for_nodes "${#nodes[@]}"
}

# Each node has a step of its own, so that the death of one leaves the others alone. Other jobs may
# share the node, so Ray takes free ports and a directory of its own.
start_node() {
  local node=$1
  shift
  srun --nodes=1 --ntasks=1 --nodelist="$node" --no-kill ray start "$@" --block \
    --num-cpus="$SLURM_CPUS_PER_TASK" --min-worker-port=0 --max-worker-port=0 \
    --dashboard-agent-listen-port=0 --temp-dir="/tmp/fedrl-$SLURM_JOB_ID-$node" \
    >"fedrl-ray-$SLURM_JOB_ID-$node.log" 2>&1 &
  steps+=($!)
}

free_port() {
  python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

wait_for_nodes() {
  python - "$1" "$START_SECONDS" <<'PYTHON'
import os, sys, time
import ray

wanted, deadline = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
alive = 0
while alive < wanted:
    if time.monotonic() > deadline:
        sys.exit(f"{alive} of {wanted} nodes have joined Ray; see fedrl-ray-*-NODE.log")
    try:
        if not ray.is_initialized():
            ray.init(os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level="CRITICAL")
        alive = sum(node["Alive"] for node in ray.nodes())
    except ConnectionError:
        pass
    time.sleep(1)
PYTHON
}

# Run in the background, because bash handles signals only between its commands or in `wait`.
run() {
  fedrl-ray "$@" --restartable --quiet &
  driver=$!
  local status=0
  wait "$driver" || status=$?
  exit "$status"
}

# shellcheck disable=SC2329  # called by a trap, as `stop` is
requeue() {
  echo "near the time limit: the job is queued again and then resumes from its output"
  kill -TERM "$driver" 2>/dev/null || true
  local i
  for ((i = 0; i < LAST_SECONDS; i++)); do
    kill -0 "$driver" 2>/dev/null || break
    sleep 1
  done
  kill -KILL "$driver" 2>/dev/null || true # the checkpoint before remains
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
}

# shellcheck disable=SC2329
stop() {
  rm -f "${RAY_AUTH_TOKEN_PATH:-}"
  [[ ${#steps[@]} -eq 0 ]] || kill -TERM "${steps[@]}" 2>/dev/null || true
  wait
}

nodes=() steps=() driver=
main "$@"
