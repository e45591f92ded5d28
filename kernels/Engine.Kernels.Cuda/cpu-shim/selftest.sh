#!/usr/bin/env bash
# Builds and runs the self-test of the shim, of the stand-in driver and of the interpreter. selftest.sh OUT
# What the library says about the mistakes that the tests make on purpose is in OUT/selftest.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?selftest.sh OUT}
"$here/build.sh" "$out" "$here/selftest"
g++ -std=c++17 -O1 -Wall -Wextra -Werror -ffp-contract=off -o "$out/selftest" "$here"/selftest/*.cpp -ldl
"$out/selftest" "$out/libcuda_standin.so" 2>"$out/selftest.log" || { grep -A3 -m 40 FAILED "$out/selftest.log"; exit 1; }
