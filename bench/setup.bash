# Sourced by the scripts beside it: where things are, and servers that are started, waited for and stopped.
# Everything lies in one temporary folder and listens on 127.0.0.1; nothing is left behind.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/aside-target}"
CARGO=${CARGO:-cargo}
WORK=$(mktemp -d "${BENCH_TMP:-${TMPDIR:-/tmp}}/aside-bench.XXXXXX")
RELEASE=$CARGO_TARGET_DIR/release
LOAD=$RELEASE/aside-bench-load
SERVER=${ASIDE_SERVER_BIN:-$RELEASE/aside-server}
PID=
ulimit -n "$(ulimit -Hn)"

stop() { # stop: the server that runs, by request, after 10 s by force
    [ -n "$PID" ] || return 0
    kill "$PID" 2>/dev/null || true
    local i
    for ((i = 0; i < 100; i++)); do kill -0 "$PID" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$PID" 2>/dev/null || true
    wait "$PID" 2>/dev/null || true
    PID=
}
finish() { stop; rm -rf "$WORK"; }
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }
need() { # need COMMAND PACKAGE...: installs Debian packages, and starts none of their services
    command -v "$1" >/dev/null 2>&1 && return
    local command=$1; shift
    [ "$(id -u)" = 0 ] || { echo "$command is missing: install $*" >&2; exit 1; }
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}
build_load() { # the load generator without the MLS stack, and the server by itself, so that features do not unify
    (cd "$ROOT" && "$CARGO" build --release -p aside-bench --no-default-features --bins) >&2
    [ -n "${ASIDE_SERVER_BIN:-}" ] || (cd "$ROOT" && "$CARGO" build --release -p aside-server) >&2
}
build_engines() { # in the dev profile unless ENGINES_PROFILE=release: there, the MLS stack is optimised, our crates a little
    PROFILE=${ENGINES_PROFILE:-dev}
    (cd "$ROOT" && "$CARGO" build --profile "$PROFILE" -p aside-bench --bin aside-bench-engines) >&2
    ENGINES=$CARGO_TARGET_DIR/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE")/aside-bench-engines
}
free_port() { # a port on which nobody listens
    local port
    for port in $(shuf -i 20000-29999 -n 50); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    echo "no free port" >&2; return 1
}
wait_port() { # wait_port PORT LOG: until the server PID listens there
    local i
    for ((i = 0; i < 3000; i++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        kill -0 "$PID" 2>/dev/null || break
        sleep 0.01
    done
    echo "the server did not start:" >&2; tail -5 "$2" >&2; return 1
}
start_aside() { # -> PID, FOLDER: a fresh server
    PORT=$(free_port); FOLDER=$(mktemp -d "$WORK/aside.XXXX")/server
    "$SERVER" init "$FOLDER" --address "127.0.0.1:$PORT" >"$WORK/aside.log" 2>&1
    "$SERVER" run "$FOLDER" >>"$WORK/aside.log" 2>&1 & PID=$!
    wait_port "$PORT" "$WORK/aside.log"
}
invite() { "$SERVER" invite "$FOLDER"; }
disturbers() { # who else is busy, said before measuring
    local load; load=$(cut -d' ' -f1 /proc/loadavg)
    echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), load before $load"
}
