#!/bin/sh
# npm run test:load: the tests that run alone, because they depend on how fast things go or on what all of the machine has, on a
# machine that has much else to do. The argument is how many processes take all the time they get: 8 unless stated.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
count=${1:-8}
busy=
trap 'kill $busy' EXIT
trap 'exit 130' INT TERM
while [ "$count" -gt 0 ]; do
  sh -c 'while :; do :; done' &
  busy="$busy $!"
  count=$((count - 1))
done
node_modules/.bin/tsc -b
node_modules/.bin/vitest run --project netns-alone
