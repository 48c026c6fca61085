#!/bin/sh
# npm run attribution: sends every kind of traffic, on the kernel at hand and on Debian's, and writes docs/attribution.md;
# needs root. POINTSMAN_ATTRIBUTION_HERE=1 leaves Debian's as it was. Ends with failure where a scenario or a leak test
# fails; the page is written all the same.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
sh scripts/setup.sh run lab test vm

status=0
# run MACHINE VITEST-ARGUMENTS...: one kernel's results.
run() {
  POINTSMAN_ATTRIBUTION_FILE=$root/test/attribution/results/$1.json
  POINTSMAN_ATTRIBUTION_MACHINE='the machine at hand'
  export POINTSMAN_ATTRIBUTION_FILE POINTSMAN_ATTRIBUTION_MACHINE
  shift
  rm -f "$POINTSMAN_ATTRIBUTION_FILE"
  node_modules/.bin/vitest run "$@" </dev/null || status=1
}

mkdir -p test/attribution/results
POINTSMAN_LEAK_STARTS=${POINTSMAN_LEAK_STARTS:-1000}
export POINTSMAN_LEAK_STARTS
run here --project netns --project netns-alone test/attribution/
# An emulated processor takes a quarter of an hour.
[ "${POINTSMAN_ATTRIBUTION_HERE:-}" = 1 ] || run debian --project vm test/attribution/guest/
node_modules/.bin/vitest run -u --project unit test/attribution/score/table.test.ts </dev/null
exit $status
