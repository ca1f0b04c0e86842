# shellcheck shell=bash
# Shared by the scripts: sourced, not run. Sets -euo pipefail and moves to the repository's top.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$(basename "$0"): $*"
  exit 1
}

# need_value OPTION [REST]...: of the arguments that are left, the first is an option, and a value must follow it.
need_value() { [[ -n ${2:-} ]] || die "$1 needs a value"; }

# configure_preset PRESET: if need be.
configure_preset() {
  local preset=$1 dir=build/$1
  if [[ ! -f $dir/build.ninja ]]; then
    say "configuring $dir"
    mkdir -p "$dir"
    if ! cmake --preset "$preset" >"$dir/configure.log" 2>&1; then
      cat "$dir/configure.log" >&2
      die "cmake --preset $preset failed"
    fi
  fi
}

# build_preset PRESET [NINJA TARGET...]: configures if need be and builds.
build_preset() {
  local dir=build/$1
  configure_preset "$1"
  shift
  python3 -B scripts/lib/build.py "$dir" "$@"
}
