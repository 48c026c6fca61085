#!/bin/sh
# npm run bench: sets up, builds and runs the benchmarks; needs root. Results go to bench/results.md.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
sh scripts/setup.sh run lab bench
node_modules/.bin/tsc -b bench
exec node dist/bench/run.js "$@"
