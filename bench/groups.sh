#!/usr/bin/env bash
# Adding, removing, renewing, sending and loading in groups with filled trees. REPEATS, MEMBERS (1000 takes a quarter of an
# hour to fill), ENGINES_PROFILE=dev|release
. "$(dirname "${BASH_SOURCE[0]}")/setup.bash"
build_engines
say "groups: profile $PROFILE"
disturbers
"$ENGINES" groups --folder "$WORK" --repeats "${REPEATS:-10}" --members "${MEMBERS:-2,10,100,256}"
