#!/usr/bin/env bash
# Memory of aside-server by idle connections, and of `aside app` doing nothing. CONNECTIONS, HOLD (seconds), ASIDE_BIN
. "$(dirname "${BASH_SOURCE[0]}")/setup.bash"
CONNECTIONS=${CONNECTIONS:-1000} HOLD=${HOLD:-10}
build_load
ASIDE=${ASIDE_BIN:-}
for built in "$RELEASE/aside" "$CARGO_TARGET_DIR/debug/aside"; do [ -n "$ASIDE" ] || [ ! -x "$built" ] || ASIDE=$built; done
resident() { awk '/^VmRSS/ {printf "%.1f MiB", $2 / 1024}' "/proc/$1/status"; }

say "idle: aside-server (release)"
disturbers
start_aside; sleep 2
echo "aside-server right after its start: $(resident "$PID")"
"$LOAD" idle --protocol aside --name aside --pid "$PID" --invite "$(invite)" --echo both --connections "$CONNECTIONS" --hold "$HOLD"

say "idle: aside app --no-browser"
if [ -z "$ASIDE" ]; then
    echo "not measured: there is no program \`aside\`; build one (cargo build --release -p aside-cli) or set ASIDE_BIN"
else
    export ASIDE_HOME=$WORK/home ASIDE_PASSPHRASE=bench
    "$ASIDE" --profile bench join "$(invite)" --name bench >"$WORK/app.log" 2>&1
    "$ASIDE" --profile bench app --no-browser >>"$WORK/app.log" 2>&1 & APP=$!
    sleep "$((HOLD + 5))"
    echo "aside app, one account, no conversations, after $((HOLD + 5)) s: $(resident "$APP") ($ASIDE)"
    kill "$APP"; wait "$APP" 2>/dev/null || true
fi
