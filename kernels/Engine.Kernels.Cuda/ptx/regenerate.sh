#!/usr/bin/env bash
# Compiles ../src/*.cu to the PTX that the assembly carries, and writes what ptxas says about every kernel.
#   regenerate.sh           writes compute_75/NAME.ptx.gz, compute_80/NAME.ptx.gz and resources.tsv
#   regenerate.sh --check   compares instead: exit code 1 if something differs, does not assemble or spills registers, and 3 if the compiler cannot be had here
# What is written depends on ../src alone: the compiler's packages are pinned by checksum, and an unchanged module keeps its bytes.
# Needs g++, dpkg and a Debian mirror in apt's own sources, for x64; the compiler is unpacked into .toolchain/ (ENGINE_CUDA_TOOLCHAIN: elsewhere), nothing is
# installed. It needs no GPU.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"
case "${1:-}" in
  "") check= ;;
  --check) check=1 ;;
  *) echo "regenerate.sh: $1 is unknown; expected nothing or --check" >&2; exit 2 ;;
esac

packages="
libnvrtc12=12.4.127~12.4.1-2            db76acbd9ad53eae57291114b615ed21551592dee0b1160990a33066d86c251c
libnvrtc-builtins12.4=12.4.127~12.4.1-2 c4f9ea43c3e176a9f46b50718d546adb0dc7344432cd7d8b1483692e0416d24c
nvidia-cuda-toolkit=12.4.131~12.4.1-2   cd5fe85aee38d108b315f408a688641478f2402622a10c677478eb7a6c4e5319
"
suite=trixie
tools=${ENGINE_CUDA_TOOLCHAIN:-$PWD/.toolchain}

unavailable() { echo "regenerate.sh: the CUDA compiler cannot be had here: $1" >&2; exit 3; }

# The line of this machine's own mirror, as a one-line source of the suite that has the packages.
mirror_line() {
  # shellcheck disable=SC1091
  local here uri
  here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  uri=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v suite="$here" '
    /^[ \t]*$/ { uri = "" }
    tolower($1) == "uris:" { uri = $2 }
    tolower($1) == "suites:" { for (i = 2; i <= NF; i++) if ($i == suite && uri != "") { print uri; exit } }')
  if [ -z "$uri" ]; then
    uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed 's/\[[^]]*\]//' | awk -v suite="$here" '$1 == "deb" && $3 == suite { print $2; exit }')
  fi
  [ -n "$uri" ] || return 1
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main contrib non-free"
}

fetch_tools() {
  [ "$(uname -m)" = x86_64 ] || unavailable "this is not an x64 machine"
  for command in g++ dpkg apt-get sha256sum; do command -v $command >/dev/null || unavailable "no $command"; done
  # Made beside, and put in its place when it is whole.
  local place=$tools
  tools=$place.$$
  rm -rf "$tools"
  mkdir -p "$tools/apt/lists/partial" "$tools/apt/cache/archives/partial"
  : >"$tools/apt/status"
  mirror_line >"$tools/apt/sources.list" || unavailable "apt's sources name no Debian mirror"
  # The download is run by this user, and its state is in our own folder.
  local apt=(-q -o "Dir::State::Lists=$tools/apt/lists" -o "Dir::Cache=$tools/apt/cache" -o "Dir::State::status=$tools/apt/status"
    -o "Dir::Etc::sourcelist=$tools/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User=)
  apt-get "${apt[@]}" update >"$tools/apt/log" 2>&1 || unavailable "apt-get update failed ($tools/apt/log)"
  local names=() name sum
  while read -r name sum; do [ -z "$name" ] || names+=("$name"); done <<<"$packages"
  (cd "$tools/apt" && apt-get "${apt[@]}" download "${names[@]}" >>log 2>&1) || unavailable "download of ${names[*]} failed ($tools/apt/log)"
  while read -r name sum; do
    [ -n "$name" ] || continue
    local file
    file=$(echo "$tools/apt/${name%%=*}"_*.deb)
    echo "$sum  $file" | sha256sum --check --status || { echo "regenerate.sh: $name is not the package that is pinned: its checksum differs" >&2; exit 1; }
    dpkg -x "$file" "$tools/root"
  done <<<"$packages"
  rm -rf "$tools/apt"
  echo "$packages" >"$tools/packages"
  rm -rf "$place"
  mv "$tools" "$place"
  tools=$place
}

if [ "$packages" != "$(cat "$tools/packages" 2>/dev/null)" ]; then fetch_tools; fi
tools=$(cd "$tools" && pwd)
export PTXAS=$tools/root/usr/bin/ptxas NVRTC=$tools/root/usr/lib/x86_64-linux-gnu/libnvrtc.so.12
export LD_LIBRARY_PATH=$tools/root/usr/lib/x86_64-linux-gnu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WORK=$work
g++ -std=c++17 -O1 -Wall -Wextra -o "$work/compile" compile.cpp -ldl

# A tier is an architecture of PTX, its version, and the GPUs for which its registers are counted.
# compute_75 at 6.5 is taken by drivers from 2019 on (CUDA 10.2), compute_80 at 7.0 by those from 2020 on (11.0).
compile_tier() { # source, architecture, version, GPUs
  local source=$1 tier=$2 version=$3 name gpu
  name=$(basename "$source" .cu)
  "$WORK/compile" "$NVRTC" "$source" ../src "$tier" "$version" >"$WORK/$tier/$name.ptx" || return 1
  for gpu in $4; do
    "$PTXAS" -v -arch="$gpu" -o "$WORK/cubin.$tier.$name" "$WORK/$tier/$name.ptx" >"$WORK/log.$gpu.$name" 2>&1 || { cat "$WORK/log.$gpu.$name" >&2; echo "$source: ptxas refuses it for $gpu" >&2; return 1; }
    awk -v gpu="$gpu" -v module="$name" '
      function number(after) { return match($0, "[0-9]+ " after) ? substr($0, RSTART) + 0 : 0 }
      /Compiling entry function/ { split($0, quoted, "\047"); entry = quoted[2] }
      /bytes stack frame/ { stack = number("bytes stack frame"); spilled = number("bytes spill stores") + number("bytes spill loads") }
      /Used [0-9]+ registers/ { print entry "\t" gpu "\t" number("registers") "\t" spilled "\t" stack "\t" number("bytes smem") "\t" module }' "$WORK/log.$gpu.$name" >"$WORK/table.$gpu.$name"
  done
}
export -f compile_tier
mkdir "$work/compute_75" "$work/compute_80"
for source in ../src/*.cu; do
  printf '%s\0' "$source" compute_80 7.0 "sm_80 sm_86 sm_90" "$source" compute_75 6.5 sm_75
done | xargs -0 -n 4 -P "$(nproc)" bash -c 'compile_tier "$@" || exit 255' compile_tier

{
  printf '# What ptxas 12.4 gives every kernel: registers a thread, spilled bytes (stores and loads), bytes of stack, static shared memory, module. Written by regenerate.sh.\n'
  printf '# Sources (sha256 of src/*.cu and src/*.cuh, each sorted by name, one after the other): %s\n' "$(cat ../src/*.cu ../src/*.cuh | sha256sum | cut -c 1-64)"
  printf 'kernel\tarchitecture\tregisters\tspilled\tstack\tshared\tmodule\n'
  cat "$work"/table.* | sort -t "$(printf '\t')" -k 1,1 -k 2,2
} >"$work/resources.tsv"
twice=$(cut -f 1,2 "$work/resources.tsv" | uniq -d)
if [ -n "$twice" ]; then printf 'regenerate.sh: two kernels of one name:\n%s\n' "$twice" >&2; exit 1; fi

failed=0
spilling=$(awk -F '\t' '$1 !~ /^#/ && $4 ~ /^[0-9]+$/ && $4 > 0 { print "  " $1 " on " $2 ": " $4 " bytes" }' "$work/resources.tsv")
if [ -n "$spilling" ]; then failed=1; printf 'kernels that spill registers:\n%s\n' "$spilling"; fi

for tier in compute_75 compute_80; do
  if [ -z "$check" ]; then mkdir -p $tier; fi
  for made in "$work/$tier"/*.ptx; do
    kept=$tier/$(basename "$made").gz
    if gzip -dc "$kept" 2>/dev/null | cmp -s - "$made"; then continue; fi
    if [ -n "$check" ]; then failed=1; echo "$kept is not what the compiler makes of ../src"
    else gzip -n -9 -c "$made" >"$kept"; echo "$kept"; fi
  done
  for kept in $tier/*.ptx.gz; do
    if [ ! -e "$kept" ] || [ -e "$work/${kept%.gz}" ]; then continue; fi
    if [ -n "$check" ]; then failed=1; echo "$kept has no source"
    else rm "$kept"; echo "$kept removed"; fi
  done
done
if ! cmp -s "$work/resources.tsv" resources.tsv; then
  if [ -n "$check" ]; then
    failed=1
    echo "resources.tsv is not what ptxas says:"
    diff resources.tsv "$work/resources.tsv" | head -n 40 || true
  else
    cp "$work/resources.tsv" resources.tsv
    echo "resources.tsv"
  fi
fi
if [ -n "$check" ] && [ $failed = 0 ]; then echo "$(grep -vc -e '^#' -e '^kernel' resources.tsv) kernels on an architecture each: as committed, no spills"; fi
exit $failed
