#!/usr/bin/env bash
# Commit, encrypt and decrypt at 2, 10 and 100 members. REPEATS, MEMBERS, ENGINES_PROFILE=dev|release
. "$(dirname "${BASH_SOURCE[0]}")/setup.bash"
build_engines
say "mls: profile $PROFILE"
disturbers
"$ENGINES" mls --folder "$WORK" --repeats "${REPEATS:-200}" --members "${MEMBERS:-2,10,100}"
