#!/usr/bin/env bash
# Compiles the shim and all kernels of ../src into OUT/libcuda_standin.so with g++. What did not change since the last call is kept:
# an object's name holds a hash of its source, of all headers, of the compiler and of the options.
# build.sh OUT [KERNELS]: KERNELS is another folder of .cu files than ../src. CXXFLAGS is added to the options.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?build.sh OUT [KERNELS]} kernels=${2:-$here/../src}
mkdir -p "$out/obj"
out=$(cd "$out" && pwd)
exec 9>"$out/.lock"
if command -v flock >/dev/null; then flock 9; fi

flags=(-std=c++17 -g1 -fPIC -pthread -ffp-contract=off -fno-strict-aliasing -fno-math-errno -fno-trapping-math -fvisibility=hidden -Wall -Wextra)
# Fused multiply-adds as an instruction; elsewhere the C library's function rounds the same way.
if grep -qw avx2 /proc/cpuinfo 2>/dev/null && grep -qw fma /proc/cpuinfo; then flags+=(-march=x86-64-v3); fi
if [ "$(g++ -dumpversion)" = 12 ]; then flags+=(-Werror); fi # newer compilers have newer warnings
read -ra more <<<"${CXXFLAGS:-}"
export FLAGS="${flags[*]} ${more[*]:-}" HERE=$here

sources=()
for file in "$here"/*.cpp; do
  case $(basename "$file") in selftest*.cpp | replay.cpp) ;; *) sources+=("$file") ;; esac
done
for file in "$kernels"/*.cu; do if [ -e "$file" ]; then sources+=("$file"); fi; done

common=$({ g++ --version | head -n 1; echo "$FLAGS"; cat "$here"/*.h "$here"/../src/*.cuh; } | sha256sum)
objects=() todo=()
for file in "${sources[@]}"; do
  name=$(basename "$file")
  object=$out/obj/$name-$({ echo "$common"; cat "$file"; } | sha256sum | cut -c1-16).o
  objects+=("$object")
  if [ ! -e "$object" ]; then
    rm -f "$out/obj/$name"-*.o
    todo+=("$file" "$object")
  fi
done

compile() { # source, object
  local level=-O2
  case $1 in *.cpp) level=-O3 ;; esac # the interpreter lives by vector loops
  g++ $FLAGS $level -I"$HERE" -I"$HERE/../src" -x c++ -c "$1" -o "$2.part" && mv "$2.part" "$2"
}
export -f compile
if [ ${#todo[@]} -gt 0 ]; then printf '%s\0' "${todo[@]}" | xargs -0 -n 2 -P "$(nproc)" bash -c 'compile "$1" "$2" || exit 255' compile; fi

library=$out/libcuda_standin.so linked=$(printf '%s\n' "$FLAGS" "${objects[@]##*/}" | sha256sum)
if [ ! -e "$library" ] || [ "$linked" != "$(cat "$out/obj/linked" 2>/dev/null)" ]; then
  g++ $FLAGS -shared -Wl,-z,nodelete -Wl,-z,defs -o "$library.part" "${objects[@]}"
  mv "$library.part" "$library"
  echo "$linked" >"$out/obj/linked"
fi
