#!/bin/sh
# npm run test:long: sets up what is missing, builds, and runs what test-long.mjs says.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
sh scripts/setup.sh run lab test
node_modules/.bin/tsc -b
exec node scripts/test-long.mjs
