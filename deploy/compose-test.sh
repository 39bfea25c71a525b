#!/usr/bin/env bash
# Runs deploy/docker-compose.yml for real: builds the images, trains on non-IID parts of the digits, kills the server and
# clients in the middle of rounds, adds a client, makes all containers anew, lets a client of another machine join, brings the
# server's volume back from a backup, and then checks with independent code (tests/fault/audit.py) that no update was lost or
# counted twice. A line a check; the last line counts them.
set -euo pipefail

usage() {
  cat <<'TXT'
Usage: deploy/compose-test.sh [options]

  --kills N       how often the server, and how often clients, are killed (default 3 each)
  --no-build      take the images residue-test/fl-server and residue-test/fl-client as they are
  --keep          keep containers, volumes and files (their names are printed)
  --help

Needs a Docker engine that has (or can get) debian:trixie-slim, `docker compose` or `docker-compose`, python3, and
python3-xxhash as in deploy/packages.txt. The images stay, so that the next build finds its layers.

Exit codes: 0 all passed, 1 a check failed, 2 wrong option or no Docker engine.
TXT
}

top=$(cd "$(dirname "$0")/.." && pwd)
kills=3 build=yes keep=''
refuse() { echo "compose-test.sh: $1 (see --help)" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --kills)
      [[ ${2:-} =~ ^[1-9][0-9]?$ ]] || refuse "--kills: a whole number from 1 to 99 is wanted"
      kills=$2
      shift ;;
    --no-build) build='' ;;
    --keep) keep=yes ;;
    *) refuse "unknown option $1" ;;
  esac
  shift
done
docker info >/dev/null 2>&1 || refuse "no Docker engine answers: start one, and let this account use it"
if docker compose version >/dev/null 2>&1; then
  engine=(docker compose)
elif command -v docker-compose >/dev/null; then
  engine=(docker-compose)
else
  refuse "neither \`docker compose\` nor \`docker-compose\` is there: Debian's package is docker-compose"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/residue-compose.XXXXXX")
project=$(basename "$work" | tr '[:upper:]' '[:lower:]' | tr -d .)
base=debian:trixie-slim run=compose-test shards=4 most_mib=120
passed=0 failed=0 accepted=()

export COMPOSE_PROJECT_NAME=$project COMPOSE_IGNORE_ORPHANS=1
export FL_SERVER_IMAGE=residue-test/fl-server FL_CLIENT_IMAGE=residue-test/fl-client FL_BASE=$base
export FL_PUBLISH=127.0.0.1: FL_RUN=$run FL_RUN_SPEC=$work/run.yaml FL_CLIENT_CONFIG=$work/client.yaml
export FL_SHARDS=$shards FL_CLIENTS=3 FL_TOKEN_USES=$((shards + 1))

compose() { "${engine[@]}" -f "$top/deploy/docker-compose.yml" "$@"; }

# Another machine: a project with volumes of its own, which reaches the server over the first one's network.
away=$project-away
away() {
  FL_SHARDS='' FL_NAME=away FL_CLIENTS=1 FL_CLIENT_CONFIG=$work/away.yaml COMPOSE_PROJECT_NAME=$away \
    "${engine[@]}" -f "$top/deploy/docker-compose.yml" -f "$work/away-network.yml" "$@"
}

finish() {
  local status=$?
  trap - EXIT INT TERM
  if [ "$status" -ne 0 ]; then
    compose ps -a 2>/dev/null || true
    compose logs --tail 15 2>/dev/null || true
  fi
  if [ -n "$keep" ]; then
    echo "kept: projects $project and $away (remove each with COMPOSE_PROJECT_NAME=NAME ${engine[*]} -f deploy/docker-compose.yml down -v), files in $work"
  else
    [ ! -e "$work/away.yaml" ] || away down -v --timeout 5 >/dev/null 2>&1 || true
    compose down -v --timeout 5 >/dev/null 2>&1 || true
    rm -rf "$work"
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

verdict() { # ok|FAILED TEXT
  printf '%-7s %s\n' "$1" "$2"
  if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

check() { # TEXT COMMAND...: passes when the command does
  local text=$1
  shift
  if "$@" >"$work/last" 2>&1; then verdict ok "$text"; else
    verdict FAILED "$text"
    sed 's/^/        /' "$work/last" | tail -n 10
  fi
}

must() { # the same for what all later checks build on
  local before=$failed
  check "$@"
  [ "$failed" -eq "$before" ] || { echo "the rest needs this: stopping"; summary; }
}

refused() { ! "$@"; }

wait_for() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "not within the time: $*"; return 1; }
    sleep 0.2
  done
}

summary() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}

containers() { docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1" "${@:2}" | sort; }
server() { containers server; }
clients() { containers client "$@"; }
operator() { docker exec "$(server)" fl-server "$@" --dir server; }

# A field of the run's status, e.g. round, accepted, version.
status() { operator run status $run --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][0][sys.argv[1]])' "$1"; }
reached() { [ "$(status "$1")" -ge "$2" ]; }
is() { [ "$(docker inspect --format "$2" "$1")" = "$3" ]; }
healthy() { is "$1" '{{.State.Health.Status}}' healthy; }
all_healthy() {
  local id
  for id in $(server) $(clients); do healthy "$id" || return 1; done
}
ended_with_0() { is "$(containers "$1")" '{{.State.Status}} {{.State.ExitCode}}' 'exited 0'; }

# ---- images ----
cat >"$work/run.yaml" <<TXT
name: $run
seed: 3
rounds: 1000000
keep_updates: true
model: {kind: softmax, inputs: 64, outputs: 10}
codec: {name: int-threshold}
train: {steps: 400}
round: {target: 3, over_select: 1, minimum: 1, gather_ms: 1000, deadline_ms: 600000}
TXT
cat >"$work/client.yaml" <<TXT
keep_history: true
poll_ms: 3000
data: {path: /data/digits.csv.gz, scale: 0.0625, partition: dirichlet, alpha: 0.3, seed: 1}
TXT

export FL_REVISION
FL_REVISION=$(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$build" ] || must "both images build" compose build server client
size() { docker image inspect --format '{{.Size}}' "$1"; }
for name in fl-server fl-client; do
  mib=$((($(size residue-test/$name) - $(size $base)) / 1048576))
  check "image $name: $mib MiB beyond its base, at most $most_mib" test "$mib" -le $most_mib
  in_image() { docker run --rm --network none --entrypoint sh "residue-test/$name" -c "$1"; }
  check "image $name: $(in_image "stat -c %s /usr/local/bin/$name") bytes of program; no compiler, no build tools" \
    refused in_image 'command -v gcc || command -v cc || command -v ld || command -v make || command -v cmake'
  unstarted=$(docker create "residue-test/$name")
  docker cp "$unstarted:/usr/local/bin/$name" "$work/$name" >/dev/null
  docker rm -v "$unstarted" >/dev/null
  check "image $name: the program is stripped" python3 -c 'import sys; sys.exit(b".symtab" in open(sys.argv[1], "rb").read())' "$work/$name"
done

# ---- start ----
must "up: a server, $FL_CLIENTS clients" compose up -d
must "init has ended with 0" ended_with_0 init
must "create-run has ended with 0" ended_with_0 create-run
must "health checks become healthy" wait_for 180 all_healthy
must "rounds are closed and published" wait_for 180 reached version 2

# ---- locked down ----
for id in $(server) $(clients | head -n 1); do
  name=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}}' "$id")
  in_it() { docker exec "$id" sh -c "$1"; }
  check "$name: not root, with a fixed uid" test "$(in_it 'id -u; id -g' | tr '\n' ' ')" = "10001 10001 "
  check "$name: no capabilities, no new privileges" \
    in_it 'grep -q "^CapEff:[[:space:]]*0000000000000000$" /proc/1/status && grep -q "^CapBnd:[[:space:]]*0000000000000000$" /proc/1/status && grep -q "^NoNewPrivs:[[:space:]]*1$" /proc/1/status'
  check "$name: root file system is read-only" docker exec --user 0 "$id" sh -c '! touch /written && ! touch /usr/local/bin/written && ! touch /etc/written'
  check "$name: its state is writable" in_it 'touch /var/lib/residue/written && rm /var/lib/residue/written'
done

# ---- the token is for clients only ----
docker run --rm --network none --entrypoint cat -v "${project}_enrolment:/e:ro" residue-test/fl-client /e/token >"$work/token"
check "a token of the form ID.SECRET was left for clients" grep -qE '^[0-9a-f]+\.[A-Za-z0-9_-]{16,}$' "$work/token"
mapfile -t all < <(docker ps -aq --filter "label=com.docker.compose.project=$project")
secret=$(cut -d . -f 2 "$work/token")
nowhere() { ! grep -qF -- "$secret"; }
docker inspect "${all[@]}" >"$work/inspect"
check "the token is not in docker inspect" nowhere <"$work/inspect"
compose logs >"$work/logs" 2>&1
check "the token is not in the logs" nowhere <"$work/logs"
docker history --no-trunc residue-test/fl-client >"$work/history"
check "the token is not in the images' history" nowhere <"$work/history"
for id in $(clients); do docker exec "$id" sh -c 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline' | tr '\0' '\n'; done >"$work/environ"
check "the token is not in environments or command lines" nowhere <"$work/environ"
check "the server's container does not see it" docker exec "$(server)" sh -c '! test -e /var/lib/residue-enrol/token'
check "clients cannot change what they enrol with" docker exec "$(clients | head -n 1)" sh -c '! touch /var/lib/residue-enrol/written'
rm "$work/token"

# ---- up again ----
before="$(server) $(clients)"
fingerprint() { docker run --rm --network none --entrypoint sh -v "${project}_enrolment:/e:ro" residue-test/fl-client -c 'cat /e/*' | sha256sum; }
authority=$(fingerprint)
check "up again: nothing to do" compose up -d
check "up again: the same containers" test "$before" = "$(server) $(clients)"
check "up again: the same authority and token" test "$authority" = "$(fingerprint)"
check "up again: init has ended with 0" wait_for 60 ended_with_0 init

# ---- kills ----
# A client that is paused holds its round open: the others' updates are in and they wait for work, its own is missing.
half_way() { [ "$(status phase) $(status accepted) $(status waiting)" = "open 2 2" ]; }
for ((i = 1; i <= kills; i++)); do
  held=$(clients | sed -n "$(((i - 1) % 3 + 1))p")
  docker pause "$held" >/dev/null
  if wait_for 180 half_way; then
    round=$(status round)
    docker kill "$(server)" >/dev/null
    docker start "$(server)" >/dev/null
    check "server killed in round $round with 2 of 3 updates in: it comes back to that round with them" \
      wait_for 120 eval "[ \"\$(status round)\" = $round ] && [ \"\$(status accepted)\" = 2 ]"
  else
    verdict FAILED "a round with 2 of 3 updates in, to kill the server in"
  fi
  docker unpause "$held" >/dev/null
  check "round $round is closed and others follow" wait_for 180 eval "[ \"\$(status round)\" -gt $((round + 1)) ]"
done
for ((i = 1; i <= kills; i++)); do
  mapfile -t victims < <(clients)
  [ $((i % 3)) -eq 0 ] || victims=("${victims[@]:$((i % 3 - 1)):1}") # one, another, all of them
  round=$(status round)
  wait_for 180 eval "[ \"\$(status round)\" -gt $round ] && [ \"\$(status phase)\" = open ]" # in training, or sending
  round=$(status round)
  docker kill "${victims[@]}" >/dev/null
  docker start "${victims[@]}" >/dev/null
  check "${#victims[@]} client(s) killed in round $round: the run goes on" wait_for 240 eval "[ \"\$(status round)\" -gt $((round + 1)) ]"
done

# ---- scaling ----
check "all are healthy after the kills" wait_for 240 all_healthy
check "scaled up to 4 while the run goes on" compose up -d --no-recreate --scale client=4
check "the new client enrols" wait_for 120 eval 'operator clients list --json | grep -q client-3'
taken() { docker exec "$(clients | head -n 1)" sh -c "cat /var/lib/residue/client-$1/runs/$run/history/*.verdict" | grep -c '^verdict accepted'; }
took_part() { [ "$(taken "$1")" -gt "$2" ]; } # client SLOT has more than so many accepted updates
check "the new client takes part: an update of it is accepted" wait_for 240 took_part 3 1
check "a fifth finds no part of the data and says so" docker run --rm --network none -v "${project}_client-state:/var/lib/residue" \
  -v "${project}_enrolment:/var/lib/residue-enrol:ro" -e FL_SHARDS=$shards -e FL_RUN=$run --entrypoint sh residue-test/fl-client \
  -c 'residue-client run 2>&1 | grep "all 4 slots are taken"'

# ---- signals, and all containers anew ----
for slot in 0 1 2 3; do accepted[slot]=$(taken $slot); done
one=$(clients | head -n 1)
docker stop "$one" >/dev/null
check "SIGTERM ends a client with exit code 130, without being killed" is "$one" '{{.State.ExitCode}}' 130
compose stop server >/dev/null 2>&1
check "SIGTERM ends the server with exit code 0" is "$(server)" '{{.State.ExitCode}}' 0
version_of_old=$(docker cp "$(server)":/var/lib/residue/server/server.yaml - | sha256sum)
check "down, without its volumes" compose down
check "up anew" compose up -d --scale client=4
check "the new containers become healthy" wait_for 240 all_healthy
check "the same configuration" test "$version_of_old" = "$(docker cp "$(server)":/var/lib/residue/server/server.yaml - | sha256sum)"
count_clients() { operator clients list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["clients"]))'; }
check "the same 4 identities: none enrolled anew" test "$(count_clients)" -eq 4
for slot in 0 1 2 3; do
  check "client-$slot goes on where it was" wait_for 240 took_part $slot "${accepted[$slot]}"
done

# ---- a client on another machine: what it enrols with is carried there ----
sed 's/partition: dirichlet, alpha: 0.3/partition: none/' "$work/client.yaml" >"$work/away.yaml"
printf 'networks:\n  default:\n    name: %s_default\n    external: true\n' "$project" >"$work/away-network.yml"
check "another machine: certificate, fingerprint and token come out of the volume" \
  eval 'compose run --rm -T --no-deps --entrypoint tar client -C /var/lib/residue-enrol -c . >"$work/enrolment.tar"'
check "another machine: they go into a volume there" \
  eval 'away run --rm -T --no-deps --entrypoint tar --volume ${away}_enrolment:/new client -C /new -x <"$work/enrolment.tar"'
rm -f "$work/enrolment.tar"
check "another machine: its client starts" away up -d --no-deps client
away_client() { docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$away" --filter label=com.docker.compose.service=client; }
away_taken() { [ "$(docker exec "$(away_client)" sh -c "cat /var/lib/residue/client-0/runs/$run/history/*.verdict" | grep -c '^verdict accepted')" -gt "$1" ]; }
check "another machine: its client takes part" wait_for 240 away_taken 1

# ---- a backup of the server's volume, and back to it ----
in_volume() { docker run --rm -i --network none --user 0 --entrypoint tar -v "${project}_server-state:/v" residue-test/fl-server -C /v "$@"; }
compose stop >/dev/null 2>&1
check "backup: the server's volume as a tar" eval 'in_volume -c . >"$work/server-state.tar"'
compose up -d --scale client=4 >/dev/null 2>&1
check "backup: the run goes on" wait_for 240 operator run status $run
version=$(status version)
check "backup: versions that it does not hold" wait_for 240 reached version $((version + 3))
check "restore: containers go" compose rm --stop --force # not down: the other machine is on the network
check "restore: the volume is lost" docker volume rm "${project}_server-state"
check "restore: an empty one is there" docker volume create --label "com.docker.compose.project=$project" \
  --label com.docker.compose.volume=server-state "${project}_server-state"
check "restore: the backup is in it" in_volume -x --numeric-owner <"$work/server-state.tar"
check "restore: up" compose up -d --scale client=4
check "restore: a new epoch has begun" wait_for 240 reached restores 1
check "restore: the server counts what it has forgotten" wait_for 240 reached lost 1
version=$(status version)
check "restore: the run goes on" wait_for 240 reached version $((version + 3))
check "restore: no identity enrolled anew" test "$(count_clients)" -eq 5

# ---- the books ----
check "the run stops" operator run stop $run
all_ended() {
  local id
  for id in $(clients) $(away_client); do docker exec "$id" test -e /tmp/ended || return 1; done
}
must "every client has taken the last version and waits" wait_for 240 all_ended
check "clients whose run has ended stay healthy" wait_for 240 all_healthy
operator run export $run --to /tmp/model.safetensors >/dev/null
docker exec "$(server)" cat /tmp/model.safetensors >"$work/model.safetensors"
compose stop >/dev/null 2>&1
check "clients whose run has ended stop with 0" is "$(clients | head -n 1)" '{{.State.ExitCode}}' 0
docker cp "$(server)":/var/lib/residue/server "$work/server"
docker cp "$(clients | head -n 1)":/var/lib/residue "$work/clients"
docker cp "$(away_client)":/var/lib/residue/client-0 "$work/clients/away-0"
audit() { /usr/bin/python3 "$top/tests/fault/audit.py" --server "$work/server" --run $run --model "$work/model.safetensors" "$work"/clients/{client-[0-3],away-0}; }
check "conservation: nothing lost beyond what the restored server counts, nothing counted twice, the last model bit for bit" audit
head -n 1 "$work/last"
parts() {
  python3 - "$work/server/state.db" <<'TXT'
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    "SELECT name, max(examples), count(*) FROM receipts JOIN clients ON clients.id = receipts.client "
    "WHERE verdict = 'accepted' GROUP BY name ORDER BY name").fetchall()
print("; ".join(f"{name}: {count} updates, {examples} held-out examples" for name, examples, count in rows))
sys.exit(len(rows) != 5)
TXT
}
check "all 5 clients have updates in the books" parts
head -n 1 "$work/last"
summary
