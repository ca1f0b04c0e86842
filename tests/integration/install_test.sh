#!/usr/bin/env bash
# The SDK as its users get it: installs it into a scratch prefix, builds against only that, and runs the results.
#
#   install_test.sh BUILD_DIR SOURCE_DIR
set -euo pipefail

build=$1
source=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
readonly nobody=127.0.0.1:1  # port 1 of the loopback has no listener

fail() {
  echo "install_test: $*" >&2
  exit 1
}

# Runs a command that must succeed; shows its output only if it does not.
quietly() {
  "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "failed: $*"; }
}

# Nobody listens there, and the program must say so.
must_not_connect() {
  local output
  output=$("$@" 2>&1) || true
  grep -q 'UNAVAILABLE.*failed to connect' <<<"$output" || fail "$*: no clear error with nobody there: $output"
}

quietly cmake --install "$build" --component client --prefix "$prefix"
if grep -rlE 'grpc|\.pb\.h|google/protobuf' "$prefix/include/tranche"/*.h; then
  fail "these public headers know gRPC or protobuf"
fi
for component in server tools; do
  [ ! -e "$prefix/bin" ] || fail "the component before $component has programs of another one"
  quietly cmake --install "$build" --component $component --prefix "$prefix"
  case $component in
    server) programs='tranche-balancer tranche-consumer tranche-migrate tranche-worker tranched' ;;
    tools) programs='tranche-load tranchectl' ;;
  esac
  [ "$(echo $(ls "$prefix/bin"))" = "$programs" ] || fail "$component has other programs: $(ls "$prefix/bin")"
  rm -r "$prefix/bin"
done
# Away from the source tree, so that only the package can be found.
cp -r "$source/client/example" "$source/tests/integration/package" "$scratch"

for project in example package; do
  quietly cmake -G Ninja -S "$scratch/$project" -B "$scratch/build/$project" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror -Wno-unused-parameter"
  quietly cmake --build "$scratch/build/$project"
done

buy=$scratch/build/example/buy
usage=$("$buy" --help 2>&1) || true  # exits with 1, as for any wrong number of arguments
grep -q '^usage: buy' <<<"$usage" || fail "--help shows no usage: $usage"
status=0
"$buy" "$nobody" tv alice >/dev/null 2>&1 || status=$?
[ "$status" -eq 2 ] || fail "expected exit status 2 with nobody there, got $status"
must_not_connect "$buy" "$nobody" tv alice

# A shared object with the static library in it.
must_not_connect "$scratch/build/package/use_shop" "$nobody"
must_not_connect "$scratch/build/package/use_shared" "$nobody" tv alice
stubs=$("$scratch/build/package/use_stubs" "$nobody")
[ "$stubs" = "14 google.rpc.ErrorInfo tranche.v1.AdminService" ] || fail "the stubs say: $stubs"

# The shared library, by pkg-config, at another place than it was installed in.
mv "$prefix" "$scratch/moved"
prefix=$scratch/moved
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs tranche)"
quietly g++ -std=c++20 "$scratch/example/buy.cc" "${flags[@]}" -o "$scratch/buy"
LD_LIBRARY_PATH=$prefix/lib must_not_connect "$scratch/buy" "$nobody" tv alice
readelf -d "$scratch/buy" | grep -q 'NEEDED.*libtranche\.so\.' || fail "pkg-config does not link libtranche.so"
exported=$(nm -D --defined-only -C "$prefix/lib/libtranche.so" | sed 's/^[0-9a-f]* . //')
grep -q '^tranche::Client::Create(' <<<"$exported" || fail "libtranche.so does not export Client::Create"
inner=$(grep -vE '^tranche::((Client|GroupWatch|Reservation(Stream|Watch))::|[A-Za-z0-9]+(\[abi:cxx11\])?\()' <<<"$exported" || true)
[ -z "$inner" ] || fail "libtranche.so also exports: $inner"

mkdir "$scratch/generated"
quietly protoc -I "$prefix/share/tranche/proto" --python_out="$scratch/generated" google/rpc/status.proto \
  google/rpc/error_details.proto tranche/v1/{admin_service,catalog_service,error_reason,outbox_sink,reconciliation}.proto \
  tranche/v1/{front_door_service,group_service,reservation_service}.proto
[ -f "$prefix/share/tranche/proto/service_config.json" ] || fail "service_config.json is not installed"
echo "install_test: ok"
