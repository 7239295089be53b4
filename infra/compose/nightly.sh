#!/bin/bash
# Run a command every day at a time of UTC; one that fails is tried again after ten minutes, twice.
#
#   nightly.sh HH:MM COMMAND [ARGUMENT...]
set -euo pipefail
at=${1:?time}
shift
while true; do
    now=$(date -u +%s)
    next=$(date -u -d "today $at" +%s)
    [ "$next" -gt "$now" ] || next=$(date -u -d "tomorrow $at" +%s)
    sleep $((next - now))
    for pause in 600 600 0; do
        if "$@"; then break; fi
        echo "$(date -u +%FT%TZ) failed: $*" >&2
        sleep "$pause"
    done
done
