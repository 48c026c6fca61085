#!/bin/sh
# npm run check: what has to be clean before a commit, without root. Format and lint, types, unit tests, generated
# files, and that none of this changes the tree.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
sh scripts/setup.sh

# Content as well as names: a file that is modified already may be modified again.
state_of_tree() {
  git status --porcelain && git diff | cksum
}

before=$(state_of_tree)
echo "== biome" >&2
node_modules/.bin/biome ci --error-on-warnings . >&2
echo "== tsc" >&2
node_modules/.bin/tsc -b >&2
echo "== generated files" >&2
npm run --silent generate >&2 </dev/null
echo "== unit tests" >&2
node_modules/.bin/vitest run --project unit </dev/null
if [ "$(state_of_tree)" != "$before" ]; then
  echo "the build changed files of the tree (generated files not current?):" >&2
  git status --short >&2
  exit 1
fi
echo "all clean" >&2
