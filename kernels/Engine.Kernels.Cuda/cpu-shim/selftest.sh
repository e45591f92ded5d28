#!/usr/bin/env bash
# Builds and runs the self-test of the shim, of the stand-in driver, of the interpreter and of the replay.
#   selftest.sh OUT [OBJECTS]   OBJECTS: where build.sh put the objects of the shim, to take them from there
# What the library says about the mistakes that the tests make on purpose is in OUT/selftest.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?selftest.sh OUT [OBJECTS]}
export OBJECTS=${2:-$out}
"$here/build.sh" "$out" "$here/selftest"
"$here/build.sh" --replay "$out" "$here/selftest"
library=$out/libcuda_standin.so
g++ -std=c++17 -O1 -Wall -Wextra -Werror -pthread -ffp-contract=off -o "$out/selftest" "$here"/selftest/*.cpp -ldl
"$out/selftest" "$library" 2>"$out/selftest.log" || { grep -A3 -m 40 FAILED "$out/selftest.log"; exit 1; }
ENGINE_STANDIN_DEVICES=0 "$out/selftest" "$library" no-device
ENGINE_STANDIN_DEVICES=2 ENGINE_STANDIN_ARCH=75 ENGINE_STANDIN_MULTIPROCESSORS=132 ENGINE_STANDIN_DRIVER=11040 "$out/selftest" "$library" two-devices 2>>"$out/selftest.log" || { grep FAILED "$out/selftest.log"; exit 1; }
for bad in 0 1025 -1 many; do
  if { ENGINE_STANDIN_DEVICES=1 ENGINE_STANDIN_MULTIPROCESSORS=$bad "$out/selftest" "$library" bad; } >>"$out/selftest.log" 2>&1; then echo "ENGINE_STANDIN_MULTIPROCESSORS=$bad was accepted"; exit 1; fi
  tail -n 2 "$out/selftest.log" | grep -q "stand-in: .*\(multiprocessors are not 1 to 1024\|is not a number\)" || { echo "ENGINE_STANDIN_MULTIPROCESSORS=$bad: no word of it"; exit 1; }
done

for kind in good beyond before shared; do
  ENGINE_STANDIN_RECORD=$out/$kind.record "$out/selftest" "$library" $kind 2>>"$out/selftest.log"
  if "$out/replay" "$out/$kind.record" >"$out/$kind.log" 2>&1; then result=good; else result=bad; fi
  tail -n 1 "$out/$kind.log"
  case $kind-$result in
    good-good) ;;
    good-*) cat "$out/good.log"; exit 1 ;;
    *-bad) grep -qE 'AddressSanitizer: (heap-buffer-overflow|use-after-poison)' "$out/$kind.log" || { echo "replay: $kind failed for another reason"; cat "$out/$kind.log"; exit 1; } ;;
    *) echo "replay: the access $kind was not found"; exit 1 ;;
  esac
done
