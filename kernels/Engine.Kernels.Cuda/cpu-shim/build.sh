#!/usr/bin/env bash
# Compiles the shim and all kernels of ../src with g++. What did not change since the last call is kept: an object's name holds a hash
# of its source, of the headers, of the compiler and of the options.
#   build.sh OUT [KERNELS]            OUT/libcuda_standin.so
#   build.sh --replay OUT [KERNELS]   OUT/replay, which runs recorded launches under sanitizers
# KERNELS is another folder of .cu files than ../src. CXXFLAGS is added to the options. OBJECTS is a folder for the objects besides OUT,
# which several OUTs may share.
set -euo pipefail
replay=
if [ "${1:-}" = --replay ]; then replay=1; shift; fi
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?build.sh [--replay] OUT [KERNELS]} kernels=${2:-$here/../src}
objects_folder=${OBJECTS:-$out}/obj${replay:+-replay}
mkdir -p "$out" "$objects_folder"
out=$(cd "$out" && pwd)
objects_folder=$(cd "$objects_folder" && pwd)
exec 9>"$objects_folder/.lock"
if command -v flock >/dev/null; then flock 9; fi

flags=(-std=c++17 -g1 -fPIC -pthread -ffp-contract=off -fno-strict-aliasing -fno-math-errno -fno-trapping-math -fvisibility=hidden -Wall -Wextra)
# Fused multiply-adds as an instruction; elsewhere the C library's function rounds the same way.
if grep -qw avx2 /proc/cpuinfo 2>/dev/null && grep -qw fma /proc/cpuinfo; then flags+=(-march=x86-64-v3); fi
if [ "$(g++ -dumpversion)" = 12 ]; then flags+=(-Werror); fi # newer compilers have newer warnings
machine=(entry block shared warp fiber pool trap)
sources=()
if [ -n "$replay" ]; then
  flags+=(-O1 -fno-omit-frame-pointer -fsanitize=address,alignment,bounds,integer-divide-by-zero,shift,signed-integer-overflow -fno-sanitize-recover=all)
  for name in "${machine[@]}" replay; do sources+=("$here/$name.cpp"); done
else
  flags+=(-O2)
  for file in "$here"/*.cpp; do if [ "$(basename "$file")" != replay.cpp ]; then sources+=("$file"); fi; done
fi
for file in "$kernels"/*.cu; do if [ -e "$file" ]; then sources+=("$file"); fi; done
read -ra more <<<"${CXXFLAGS:-}"
export FLAGS="${flags[*]} ${more[*]:-}" HERE=$here

hash_of() { { g++ --version | head -n 1; echo "$FLAGS"; cat "$@"; } | sha256sum | cut -c1-16; }
of_kernels=$(cd "$kernels" && shopt -s nullglob && hash_of "$here/shim.h" "$here/calls.h" "$here"/../src/*.cuh *.cuh)
of_machine=$(hash_of "$here"/*.h)
objects=() todo=()
for file in "${sources[@]}"; do
  name=$(basename "$file")
  case $name in *.cu) common=$of_kernels ;; *) common=$of_machine ;; esac
  object=$objects_folder/$name-$({ echo "$common"; cat "$file"; } | sha256sum | cut -c1-16).o
  objects+=("$object")
  if [ ! -e "$object" ]; then
    rm -f "$objects_folder/$name"-*.o
    todo+=("$file" "$object")
  fi
done

compile() { # source, object
  local level=
  case $1 in */ptx_*.cpp) level=-O3 ;; esac # the interpreter lives by vector loops
  g++ $FLAGS $level -I"$HERE" -I"$HERE/../src" -x c++ -c "$1" -o "$2.part" && mv "$2.part" "$2"
}
export -f compile
if [ ${#todo[@]} -gt 0 ]; then printf '%s\0' "${todo[@]}" | xargs -0 -n 2 -P "$(nproc)" bash -c 'compile "$1" "$2" || exit 255' compile; fi

if [ -n "$replay" ]; then product=$out/replay; else product=$out/libcuda_standin.so; fi
linked=$(printf '%s\n' "$FLAGS" "${objects[@]##*/}" | sha256sum)
if [ ! -e "$product" ] || [ "$linked" != "$(cat "$product.linked" 2>/dev/null)" ]; then
  if [ -n "$replay" ]; then g++ $FLAGS -o "$product.part" "${objects[@]}"
  else g++ $FLAGS -shared -Wl,-z,nodelete -Wl,-z,defs -o "$product.part" "${objects[@]}"; fi
  mv "$product.part" "$product"
  echo "$linked" >"$product.linked"
fi
