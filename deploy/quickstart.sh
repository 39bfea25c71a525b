#!/usr/bin/env bash
# From nothing to a federated run on this machine: installs what is needed, builds, starts one server and several clients as
# separate processes over HTTPS with mutual TLS, trains on skewed data with compressed updates, and sums up.
set -euo pipefail

usage() {
  cat <<'TXT'
Usage: deploy/quickstart.sh [options]

  --rounds N     training rounds (default 60)
  --data NAME    CSV file, plain, .gz or .xz, the label in the last column (default: the embedded digits); or
                 mnist: the files of $FL_DATA/mnist (FL_DATA: ../shared/data beside this project unless set)
  --clients N    client processes (default 8; mnist: 20)
  --partition P  who holds which examples: dirichlet (default), iid, or writers (mnist's default: people's own
                 handwriting, whole writers to a client)
  --alpha A      Dirichlet label skew: 0.1 is severe, 100 is nearly even (default 0.3; mnist: 0.1)
  --codec NAME   int-threshold (default), or another name of codec/README.md, e.g. threshold, topk, dense
  --dense-below N  0: the model in one payload (default); from 1 on each tensor is compressed by itself, and those
                 with fewer than N parameters (biases) are sent whole
  --seed S       seed of data split, first model, batches and cohorts (default 1)
  --device NAME  what the clients compute on: auto (default), cpu, cuda:N; emu in builds with tests (docs/gpu.md)
  --central W    yes or no: also train one model on the pooled data, to compare with (default yes; mnist: no)
  --keep DIR     keep server, clients, logs and model in DIR, which must not exist yet
  --json FILE    write the summary as JSON
  --help

Examples:
  deploy/quickstart.sh
  deploy/quickstart.sh --rounds 30 --alpha 0.1 --json out.json
  deploy/quickstart.sh --codec topk --keep /tmp/topk-run
  deploy/quickstart.sh --codec power-sgd --dense-below 65    # the biases whole
  deploy/quickstart.sh --data mnist --seed 1                 # and with --codec dense, to compare
  deploy/quickstart.sh --data mnist --partition dirichlet

Exit codes: 0 done, 1 something failed (the last lines of its log are shown), 2 wrong option, 130 interrupted.
TXT
}

top=$(cd "$(dirname "$0")/.." && pwd)
rounds=60 codec=int-threshold dense_below=0 seed=1 device=auto keep='' json=''
data='' clients='' partition='' alpha='' central='' # the recipe of the data has the defaults

refuse() { echo "quickstart.sh: $1 (see --help)" >&2; exit 2; }

number() { # OPTION VALUE LEAST MOST
  [[ $2 =~ ^[0-9]+$ ]] && [ "${#2}" -le 9 ] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] ||
    refuse "$1 $2: a whole number from $3 to $4 is wanted"
}

while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --rounds | --clients | --partition | --alpha | --central | --codec | --dense-below | --seed | --device | --data | --keep | --json)
      [ $# -ge 2 ] || refuse "$1 needs a value"
      option=${1#--}
      declare "${option//-/_}=$2"
      shift 2 ;;
    *) refuse "unknown option $1" ;;
  esac
done
case $data in
  mnist) recipe=mnist ;;
  *) recipe=csv ;;
esac
# shellcheck source=data/csv.sh
. "$top/deploy/data/$recipe.sh"
number --rounds "$rounds" 1 100000
number --clients "$clients" 1 256
number --dense-below "$dense_below" 0 999999999
number --seed "$seed" 0 999999999
[[ $alpha =~ ^[0-9]*\.?[0-9]+$ ]] && [[ $alpha =~ [1-9] ]] || refuse "--alpha $alpha: a number above 0 is wanted"
[[ $codec =~ ^[a-z0-9-]+$ ]] || refuse "--codec $codec: a codec's name is wanted, e.g. int-threshold or topk"
case $partition in
  dirichlet | iid | writers) ;;
  *) refuse "--partition $partition: one of dirichlet, iid, writers is wanted" ;;
esac
[[ $device =~ ^(auto|cpu|emu|cuda:[0-9]{1,3})$ ]] || refuse "--device $device: one of auto, cpu, cuda:N is wanted"
case $central in
  yes | no) ;;
  *) refuse "--central $central: yes or no is wanted" ;;
esac
[ -z "$keep" ] || [ ! -e "$keep" ] || refuse "--keep $keep: it exists already; name a new folder"
if [ -n "$json" ]; then
  [ -d "$(dirname "$json")" ] && [ -w "$(dirname "$json")" ] || refuse "--json $json: its folder is not there or not writable"
fi

say() { printf '\n%s\n' "$*"; }

if [ -n "$keep" ]; then
  mkdir -p "$keep"
  work=$(cd "$keep" && pwd)
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/residue.XXXXXX")
fi
mkdir -p "$work/log"
pids=()

finish() {
  local status=$?
  trap - EXIT INT TERM
  if [ "$status" -ne 0 ] && [ "$status" -ne 130 ]; then
    for log in "$work"/log/*.log; do
      [ -s "$log" ] && { echo "--- last lines of ${log##*/}"; tail -n 5 "$log"; }
    done >&2
  fi
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  [ -n "$keep" ] || rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'echo; echo "Interrupted: stopping server and clients."; exit 130' INT TERM

# Runs a command with its output in a log that finish() shows if it fails.
logged() { # NAME COMMAND...
  local log=$work/log/$1.log
  shift
  "$@" >>"$log" 2>&1
}

say "[1/5] Packages and build"
"$top/deploy/install-packages.sh"
[ -f "$top/build/release/CMakeCache.txt" ] || (cd "$top" && logged build cmake --preset release -DFL_TESTS=OFF)
targets=(fl-server fl-client)
if [ "$device" = emu ]; then
  grep -q '^FL_TESTS:BOOL=ON' "$top/build/release/CMakeCache.txt" ||
    refuse "--device emu: only builds with tests have it: cmake --preset release -DFL_TESTS=ON"
  targets+=(fl_emu_plugin)
elif [ "$device" != cpu ] && /sbin/ldconfig -p | grep -q 'libcuda\.so\.1'; then
  targets+=(fl_plugins)
fi
(cd "$top" && logged build cmake --build build/release -j "$(nproc)" --target "${targets[@]}")
server=$top/build/release/bin/fl-server client=$top/build/release/bin/fl-client
echo "built $("$server" --version) and $("$client" --version)"

say "[2/5] Server, run and $clients clients"
export OPENBLAS_NUM_THREADS=1
started=$(date +%s.%N)
"$server" init "$work/server" --host 127.0.0.1,localhost --port 0 --token-uses "$clients" --token-ttl 1h --json >"$work/init.json" 2>>"$work/log/init.log"
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
"$server" serve --config "$work/server/server.yaml" --port-file "$work/port" >>"$work/log/server.log" 2>&1 &
server_pid=$!
pids+=("$server_pid")
for _ in $(seq 200); do
  [ -s "$work/port" ] && break
  kill -0 "$server_pid" 2>/dev/null || { echo "quickstart.sh: the server ended before it was ready" >&2; exit 1; }
  sleep 0.05
done
[ -s "$work/port" ] || { echo "quickstart.sh: the server was not ready within 10 s" >&2; exit 1; }
url=https://127.0.0.1:$(cat "$work/port")
fingerprint=$(field "$work/init.json" ca_fingerprint) token=$(field "$work/init.json" token)

prepare_data # the shape of the data decides the model: features, hidden units, classes
cat >"$work/run.yaml" <<TXT
name: quickstart
seed: $seed
rounds: $rounds
model: {kind: mlp, inputs: $features, hidden: [$hidden], outputs: $classes}
codec: {name: $codec, dense_below: $dense_below}
round: {target: $clients, minimum: $(((clients + 1) / 2)), deadline_ms: 120000}
TXT
logged run "$server" run create "$work/run.yaml" --dir "$work/server"

case $partition in
  dirichlet) partition_options=(--data.partition dirichlet --data.alpha "$alpha") split="Dirichlet($alpha)" ;;
  iid) partition_options=(--data.partition iid) split="evenly" ;;
  writers) partition_options=(--data.partition groups "${group_options[@]}") split="by writers" ;;
esac
for ((i = 0; i < clients; i++)); do
  logged "client-$i" "$client" enroll --server "$url" --token "$token" --ca-fingerprint "$fingerprint" --state "$work/client-$i" --name "client-$i"
  "$client" run --server "$url" --run quickstart --state "$work/client-$i" --device "$device" "${data_options[@]}" \
    "${partition_options[@]}" --data.clients "$clients" --data.index "$i" >>"$work/log/client-$i.log" 2>&1 &
  pids+=("$!")
done
echo "server at $url, data $(basename "$data"): $features features, $classes classes, shared out $split over $clients clients"

say "[3/5] Training: accuracy and loss are of the version that a round starts from, on the clients' held-out rows"
"$server" run status quickstart --dir "$work/server" --follow &
follower=$!
client_pids=("${pids[@]:1}")
pids+=("$follower")
ended_well() { wait "$1" || { echo "quickstart.sh: $2 ended with an error" >&2; exit 1; }; }
while kill -0 "$follower" 2>/dev/null; do
  for i in "${!client_pids[@]}"; do # a client that fails now would keep the others waiting for ever
    kill -0 "${client_pids[$i]}" 2>/dev/null || ended_well "${client_pids[$i]}" "client $i"
  done
  sleep 0.1
done
ended_well "$follower" "the view of the run"
for i in "${!client_pids[@]}"; do ended_well "${client_pids[$i]}" "client $i"; done
finished=$(date +%s.%N)

say "[4/5] The exported model on the test examples"
[ "$central" = no ] || echo "and the same model trained centrally on as many examples"
if [ -n "$keep" ]; then model=$work/model.safetensors; else model=$top/build/quickstart/model.safetensors; fi
mkdir -p "$(dirname "$model")"
logged export "$server" run export quickstart --dir "$work/server" --to "$model"
"$server" run status quickstart --dir "$work/server" --json >"$work/status.json"
"$client" evaluate --model "$model" --hidden "$hidden" "${data_options[@]}" --json >"$work/evaluate.json" 2>>"$work/log/evaluate.log"
central_options=()
if [ "$central" = yes ]; then
  "$client" train "${data_options[@]}" --hidden "$hidden" --seed "$seed" --batch 32 --steps $((rounds * clients * 20)) --json >"$work/central.json" 2>>"$work/log/central.log"
  central_options=(--central "$work/central.json")
fi
rm -rf "$work/data"

say "[5/5] Summary"
python3 "$top/deploy/summary.py" --status "$work/status.json" --evaluate "$work/evaluate.json" "${central_options[@]}" \
  --clients "$clients" --codec "$codec" --partition "$partition" --alpha "$alpha" --seconds "$(echo "$started $finished" | awk '{printf "%.2f", $2 - $1}')" \
  --model "$model" --json "$json"
[ -z "$keep" ] || echo "server, clients and logs: $work"
