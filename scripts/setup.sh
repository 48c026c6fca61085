#!/bin/sh
# Installs and builds what is missing, and nothing else: Debian packages for the purposes given (run lab test bench vm),
# the npm packages, the compiled program. Says what it does on standard error.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
. "$root/scripts/setup-state.sh"

say() {
  echo "pointsman: $*" >&2
}

install_packages() {
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    say "these packages are missing: $missing"
    say "install them: sudo apt-get install --no-install-recommends $missing"
    exit 5
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    say "these Debian packages are missing, and there is no apt-get: $missing"
    say "install what your distribution has in their place"
    exit 6
  fi
  say "installing Debian packages: $missing"
  log=$(mktemp)
  # Split on purpose: a list of names.
  # shellcheck disable=SC2086
  if ! { DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } \
    </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    say "apt-get failed; install by hand: $missing"
    exit 6
  fi
  rm -f "$log"
}

# Files made by root in a person's checkout still belong to that person.
give_back() {
  [ "$(id -u)" != 0 ] || chown -R --reference="$root/package.json" "$@"
}

install_modules() {
  modules_are_current && return 0
  say "installing npm packages"
  if [ "$(id -u)" = 0 ] && [ ! -O "${HOME:-/nonexistent}" ]; then
    # Under sudo HOME may be another person's, or not set: no files of root's are left there.
    npm_config_cache=$(mktemp -d)
    export npm_config_cache
    trap 'rm -rf "$npm_config_cache"' EXIT
  fi
  (cd "$root" && npm ci --no-progress --loglevel=error >&2)
  touch "$root/node_modules/.package-lock.json"
  give_back "$root/node_modules"
}

build() {
  build_is_current && return 0
  say "building"
  mkdir -p "$root/dist"
  # From before the build: what is saved meanwhile is newer.
  touch "$root/dist/.building"
  (cd "$root" && node_modules/.bin/tsc -b src/main >&2)
  mv "$root/dist/.building" "$root/dist/.built"
  give_back "$root/dist"
}

check_node || exit 6
if ! modules_are_current || ! build_is_current; then
  if ! [ -w "$root" ] || { [ -e "$root/dist" ] && ! [ -w "$root/dist" ]; }; then
    say "what is built in $root is out of date, and you may not write there: run  sudo sh $root/scripts/setup.sh"
    exit 5
  fi
fi
lock="$root/.pointsman-setup"
if [ -n "$(missing_packages "$@")" ] || ! modules_are_current || ! build_is_current; then
  # Two at once would write into each other's files; the second finds nothing left to do.
  [ -e "$lock" ] || : >"$lock"
  exec 9<"$lock"
  command -v flock >/dev/null 2>&1 && flock 9
  install_packages "$@"
  install_modules
  build
fi
