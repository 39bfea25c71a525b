#!/usr/bin/env bash
# Runs the README's two commands on a fresh clone of the current commit in fresh Debian containers, as root and as a user
# with sudo: deploy/quickstart.sh, once more without any network, and tests/run.sh. A line a case with its seconds; the last
# line counts them. Needs a Docker engine that has (or can get) debian:SUITE-slim.
set -euo pipefail

usage() {
  cat <<'TXT'
Usage: tests/distro.sh [options] [trixie|bookworm ...]        (default: both)

  --quick         tests/run.sh with the release build only
  --as ACCOUNT    root or user (one with sudo); default: both
  --network NAME  Docker network on which apt reaches its mirror (default: bridge)
  --keep          keep the containers (their names are printed)
  --help

Examples:
  tests/distro.sh
  tests/distro.sh --quick --as user trixie

Exit codes: 0 all passed, 1 a case failed (its last lines are shown), 2 wrong option or no Docker engine.
TXT
}

top=$(cd "$(dirname "$0")/.." && pwd)
presets=() accounts=(root user) network=bridge keep='' suites=()
refuse() { echo "distro.sh: $1 (see --help)" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --quick) presets=(release) ;;
    --keep) keep=yes ;;
    --as | --network)
      [ $# -ge 2 ] || refuse "$1 needs a value"
      case $1:$2 in
        --as:root | --as:user) accounts=("$2") ;;
        --as:*) refuse "--as $2: root or user is wanted" ;;
        *) network=$2 ;;
      esac
      shift ;;
    trixie | bookworm) suites+=("$1") ;;
    *) refuse "unknown option $1" ;;
  esac
  shift
done
[ ${#suites[@]} -gt 0 ] || suites=(trixie bookworm)
docker info >/dev/null 2>&1 || refuse "no Docker engine answers: start one, and let this account use it"

work=$(mktemp -d "${TMPDIR:-/tmp}/residue-distro.XXXXXX")
prefix=$(basename "$work" | tr '[:upper:]' '[:lower:]' | tr . -)
passed=0 failed=0

finish() {
  trap - EXIT INT TERM
  if [ -n "$keep" ]; then
    docker ps -a --filter "name=$prefix" --format 'kept: {{.Names}}'
  else
    docker ps -aq --filter "name=$prefix" | xargs -r docker rm -f >/dev/null
    docker images -q "$prefix" | xargs -r docker rmi -f >/dev/null
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# One case: LABEL COMMAND...; its output goes to a log, of which a failure shows the end.
check() {
  local label=$1 log=$work/log start=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    echo "ok      $label ($((SECONDS - start)) s)"
    passed=$((passed + 1))
  else
    echo "FAILED  $label ($((SECONDS - start)) s); last lines:"
    tail -n 40 "$log" | sed 's/^/        /'
    failed=$((failed + 1))
    return 1
  fi
}

# A bare container with a fresh clone in the account's home; the user gets sudo without a password.
prepare() { # CONTAINER SUITE ACCOUNT
  docker run -d --name "$1" --network "$network" "debian:$2-slim" sleep infinity
  docker exec "$1" sh -c 'echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe-io' # no fsync for each file, as in Docker's Debian
  if [ "$3" = user ]; then
    docker exec "$1" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends sudo &&
      useradd -m -s /bin/bash user && echo "user ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/user'
  fi
  docker cp "$work/clone" "$1:$(home "$3")/residue"
  docker exec "$1" chown -R "$3:" "$(home "$3")/residue"
}

home() { [ "$1" = root ] && echo /root || echo /home/user; }

inside() { # CONTAINER ACCOUNT COMMAND...
  local name=$1 account=$2
  shift 2
  docker exec --user "$account" --env "HOME=$(home "$account")" --workdir "$(home "$account")/residue" "$name" "$@"
}

# What a container holds, in one that has no network.
without_network() { # CONTAINER ACCOUNT COMMAND...
  local name=$1 account=$2 image=$prefix:$1
  shift 2
  docker commit "$name" "$image"
  docker run -d --name "$name-offline" --network none "$image" sleep infinity
  inside "$name-offline" "$account" "$@"
}

one() { # SUITE ACCOUNT
  local name=$prefix-$1-$2 label="$1 as $2:"
  check "$label a fresh clone in a bare container" prepare "$name" "$1" "$2" || return 0
  check "$label deploy/quickstart.sh" inside "$name" "$2" deploy/quickstart.sh &&
    check "$label deploy/quickstart.sh again, without network" without_network "$name" "$2" deploy/quickstart.sh || true
  [ -n "$keep" ] || docker rm -f "$name-offline" >/dev/null 2>&1 || true
  check "$label tests/run.sh ${presets[*]}" inside "$name" "$2" tests/run.sh "${presets[@]}" || true
  [ -n "$keep" ] || docker rm -f "$name" >/dev/null 2>&1 || true
}

git clone -q --no-local "$top" "$work/clone"
[ -z "$(git -C "$top" status --porcelain)" ] || echo "note: changes that are not committed are not in the clone"
echo "commit $(git -C "$work/clone" log -1 --format='%h %s')"
for suite in "${suites[@]}"; do
  for account in "${accounts[@]}"; do one "$suite" "$account"; done
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
