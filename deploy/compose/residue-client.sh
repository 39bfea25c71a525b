#!/bin/sh
# Entry of the client's image: residue-client run | health. See deploy/README.md.
# Replicas share the volume /var/lib/residue. Each claims the lowest slot that no other holds, by a lock that ends with it:
# slot N is the identity and state in client-N, and, where FL_SHARDS parts a common file, part N of the data.
set -eu
umask 077
home=/var/lib/residue enrol=/var/lib/residue-enrol
child='' stopping=''

# Runs a command, hands SIGTERM on to it, and returns its exit code.
supervise() {
  [ -z "$stopping" ] || return 130
  "$@" &
  child=$!
  echo "$child" >/tmp/pid
  while :; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break # else a signal ended the wait
  done
  child=''
  return "$code"
}

stop() {
  stopping=yes
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
}

claim() {
  slot=0
  while [ "$slot" -lt "${FL_SHARDS:-1024}" ]; do
    exec 9>"$home/client-$slot.claim"
    if flock -n 9; then
      state=$home/client-$slot
      return
    fi
    slot=$((slot + 1))
  done
  echo "residue-client: all ${FL_SHARDS:-1024} slots are taken; FL_SHARDS is the number of parts of the data" >&2
  exit 3
}

run() {
  trap stop TERM INT
  claim
  if [ ! -f "$state/client.pem" ]; then
    supervise fl-client enroll --server "$FL_SERVER" --token-file "$enrol/token" \
      --ca-fingerprint "$(cat "$enrol/ca-fingerprint")" --state "$state" --name "${FL_NAME:-client}-$slot" >&2 || exit
  fi
  echo "$state" >/tmp/state
  set -- --config "${FL_CLIENT_CONFIG:-/etc/residue/client.yaml}" --server "$FL_SERVER" --run "$FL_RUN" --state "$state"
  [ -z "${FL_SHARDS:-}" ] || set -- "$@" --data.clients "$FL_SHARDS" --data.index "$slot"
  [ -z "${FL_DATA:-}" ] || set -- "$@" --data "$(echo "$FL_DATA" | sed "s/{slot}/$slot/g")"
  [ -z "${FL_DEVICE:-}" ] || set -- "$@" --device "$FL_DEVICE"
  supervise fl-client run "$@" || exit
  touch /tmp/ended
  echo "residue-client: the run has ended; waiting to be stopped" >&2
  supervise sleep infinity || exit 0
}

# Healthy: the program lives, is enrolled and has taken up the run; or the run has ended.
health() {
  [ -f /tmp/ended ] || { kill -0 "$(cat /tmp/pid)" && [ -f "$(cat /tmp/state)/runs/$FL_RUN/manifest" ]; }
}

case ${1:-run} in
  run) run ;;
  health) health ;;
  *)
    echo "residue-client: run or health is wanted, not $1" >&2
    exit 2
    ;;
esac
