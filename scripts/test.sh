#!/bin/sh
# npm test: everything. Sets up what is missing, builds, and runs the suites one after the other; the last lines are what each
# suite came to, with the files that failed and those that took longest, and then `N passed, N failed` over all of them.
# POINTSMAN_TEST=unit,netns runs a part (gates, unit, netns, vm).
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
. "$root/scripts/setup-state.sh"

suites=$(printf '%s' "${POINTSMAN_TEST:-gates,unit,netns,vm}" | tr ',' ' ')
for suite in $suites; do
  case $suite in
    gates | unit | netns | vm) ;;
    *)
      echo "POINTSMAN_TEST: there is no suite \"$suite\"; there are gates, unit, netns and vm" >&2
      exit 2
      ;;
  esac
done

purposes=run
for suite in $suites; do
  case $suite in
    netns) purposes="$purposes lab test" ;;
    vm) purposes="$purposes lab test vm" ;;
  esac
done
# Split on purpose: a list of names.
# shellcheck disable=SC2086
sh scripts/setup.sh $purposes

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
status=0

# run_suite NAME VITEST-ARGUMENTS...
run_suite() {
  name=$1
  shift
  echo "== $name" >&2
  started=$(date +%s)
  result=0
  POINTSMAN_FILE_TIMES="$results/$name.times" node_modules/.bin/vitest run --passWithNoTests \
    --reporter=default --reporter=json --reporter=./scripts/file-times.mjs --outputFile.json="$results/$name.json" "$@" </dev/null || result=$?
  [ "$result" = 0 ] || status=1
  echo "$name $result $(($(date +%s) - started))" >>"$results/suites"
}

# Real packets, and other kernels: where few files failed, they are run once more, one at a time. What failed at first is printed all
# the same: somebody has to find out why. run_twice NAME VITEST-ARGUMENTS...
run_twice() {
  before=$status
  run_suite "$@"
  [ "$result" != 0 ] || return 0
  failed=$(awk '$2 == "failed" { print $3 }' "$results/$1.times")
  [ -n "$failed" ] && [ "$(printf '%s\n' "$failed" | wc -l)" -le 4 ] || return 0
  status=$before
  suite_again=$1-again
  shift
  # Split on purpose: a list of names.
  # shellcheck disable=SC2086
  run_suite "$suite_again" "$@" --no-file-parallelism $failed
}

echo "== build" >&2
if node_modules/.bin/tsc -b >&2; then
  for suite in $suites; do
    case $suite in
      gates) run_suite gates --project unit test/gates/ ;;
      unit) run_suite unit --project unit "$root/src/" "$root/test/attribution/score/" "$root/test/cases/" "$root/test/packaging/" "$root/test/schedules/" "$root/bench/" ;;
      netns) run_twice netns --project netns --project netns-alone ;;
      vm) run_twice vm --project vm ;;
    esac
  done
else
  echo "build 1 0" >>"$results/suites"
  status=1
fi

node scripts/test-summary.mjs "$results" || status=1
exit $status
