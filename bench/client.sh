#!/usr/bin/env bash
# Two real engines with databases on the disk, over the real server (release). SECS, WINDOW, SIZES, ENGINES_PROFILE=dev|release
. "$(dirname "${BASH_SOURCE[0]}")/setup.bash"
build_load; build_engines
say "client: engines in profile $PROFILE, aside-server in release"
disturbers
for bytes in ${SIZES:-256 2048}; do
    for window in ${WINDOW:-1 16}; do
        start_aside
        "$ENGINES" client --invite "$(invite)" "$(invite)" --pid "$PID" --folder "$WORK/people-$bytes-$window" --bytes "$bytes" \
            --window "$window" --seconds "${SECS:-10}"
        stop
    done
done
