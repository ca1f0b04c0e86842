#!/usr/bin/env bash
# The SDK as its users get it: installs it into a scratch prefix, builds client/example against only that with
# find_package(tranche), and runs the result.
#
#   install_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail

build=$1
source=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "install_test: $*" >&2
  exit 1
}

cmake --install "$build" --component client --prefix "$scratch/prefix" >"$scratch/log" 2>&1 || {
  cat "$scratch/log"
  fail "the SDK cannot be installed"
}
cp -r "$source/client/example" "$scratch/example"  # away from the source tree, so that only the package can be found
cmake -G Ninja -S "$scratch/example" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" \
  >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "find_package(tranche) does not work"; }
cmake --build "$scratch/build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "the example does not build"; }

if grep -rlE 'grpc|\.pb\.h|google/protobuf' "$scratch/prefix/include/tranche"/*.h; then
  fail "these public headers know gRPC or protobuf"
fi

buy=$scratch/build/buy
usage=$("$buy" --help 2>&1) || true  # exits with 1, as for any wrong number of arguments
grep -q '^usage: buy' <<<"$usage" || fail "--help shows no usage: $usage"

# Port 1 of the loopback has no listener.
set +e
output=$("$buy" 127.0.0.1:1 tv alice 2>&1)
status=$?
set -e
[ "$status" -eq 2 ] || fail "expected exit status 2 with nobody there, got $status: $output"
grep -q 'UNAVAILABLE.*failed to connect' <<<"$output" || fail "no clear error with nobody there: $output"
echo "install_test: ok"
