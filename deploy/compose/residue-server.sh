#!/bin/sh
# Entry of the server's image: residue-server serve | init | create-run | token | health. See deploy/README.md.
# The server's folder is /var/lib/residue/server; what clients enrol with is left in /var/lib/residue-enrol.
set -eu
umask 077
home=/var/lib/residue server=/var/lib/residue/server enrol=/var/lib/residue-enrol

# A file of the enrolment folder, replaced at once; the content comes on standard input.
leave() { # NAME
  cat >"$enrol/.$1" && sync "$enrol/.$1" && mv "$enrol/.$1" "$enrol/$1"
}

field() { # NAME, of the JSON on standard input
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

# Authority, configuration and first token, once. The folder gets its name last, so that what was interrupted is done again.
init() {
  if [ -e "$server" ]; then
    echo "init: $server is there; nothing to do" >&2
    return
  fi
  rm -rf "$home/new"
  answer=$(fl-server init "$home/new" --host "localhost,127.0.0.1,${FL_HOSTS:-server}" --listen 0.0.0.0 --port 8443 \
    --token-uses "${FL_TOKEN_USES:-100}" --token-ttl "${FL_TOKEN_TTL:-24h}" --json)
  echo "$answer" | field token | leave token
  echo "$answer" | field ca_fingerprint | leave ca-fingerprint
  leave root.pem <"$home/new/authority/root.pem"
  mv "$home/new" "$server"
  echo "init: $server made for ${FL_HOSTS:-server}; authority's fingerprint $(cat "$enrol/ca-fingerprint")" >&2
}

# The run of the mounted spec, unless a run of that name is there.
create_run() {
  if fl-server run status "$FL_RUN" --dir "$server" >/dev/null 2>&1; then
    echo "create-run: run $FL_RUN is there; nothing to do" >&2
    return
  fi
  fl-server run create "${FL_RUN_SPEC:-/etc/residue/run.yaml}" --dir "$server" >&2
  fl-server run status "$FL_RUN" --dir "$server" >/dev/null || {
    echo "create-run: the spec's name is not FL_RUN ($FL_RUN), which clients ask for" >&2
    return 3
  }
}

# A new token for clients, in place of the old one.
token() {
  fl-server token create --dir "$server" --uses "${FL_TOKEN_USES:-100}" --ttl "${FL_TOKEN_TTL:-24h}" --json | field token | leave token
  echo "token: good for ${FL_TOKEN_USES:-100} client(s) within ${FL_TOKEN_TTL:-24h}" >&2
}

# The health route, over TLS, by the name and the authority that clients see.
health() {
  curl -fsS --noproxy '*' --max-time 20 --cacert "$server/authority/root.pem" https://localhost:8443/v1/health
}

command=${1:-serve}
[ $# -eq 0 ] || shift
case $command in
  serve) exec fl-server serve --config "$server/server.yaml" "$@" ;;
  init) init ;;
  create-run) create_run ;;
  token) token ;;
  health) health ;;
  *)
    echo "residue-server: serve, init, create-run, token or health is wanted, not $command" >&2
    exit 2
    ;;
esac
