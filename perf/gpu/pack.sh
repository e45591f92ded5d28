#!/usr/bin/env bash
# Makes the GPU kit, on a machine with the .NET SDK: everything that perf/gpu/check.py needs on a machine with an NVIDIA GPU and without .NET.
#   perf/gpu/pack.sh [FIXTURES]    FIXTURES: a folder with a folder a fixture; by default $ENGINE_DATA/fixtures, ../shared/fixtures, and the tests' own
# perf/out/gpu/kit is the kit, perf/out/gpu/kit.tar.xz the same as one file to carry. There:  tar -xf kit.tar.xz && python3 kit/perf/gpu/check.py
# The program is one self-contained file; it is not trimmed, which would break its reading of JSON.
set -euo pipefail
cd "$(dirname "$0")/../.."
most=$((50 * 1024 * 1024)) # of the file: some machines take 64 MiB, the sources included
kit=perf/out/gpu/kit
fixtures=${1:-${ENGINE_DATA:-../shared}/fixtures}

rm -rf perf/out/gpu
mkdir -p $kit/fixtures $kit/perf/gpu $kit/perf/peers
# Not compressed, for xz makes less of it than of what .NET compresses; nor compiled ahead, which makes it larger and starts nothing that is timed.
dotnet publish algorithms/Engine.Cli -c Release -r linux-x64 --self-contained -p:PublishSingleFile=true -p:PublishReadyToRun=false -p:IncludeNativeLibrariesForSelfExtract=true -o perf/out/gpu/publish --nologo -v q
mv perf/out/gpu/publish/engine perf/out/gpu/publish/LICENSE perf/out/gpu/publish/THIRD-PARTY-NOTICES.md perf/out/gpu/publish/licences $kit/
rm -r perf/out/gpu/publish
if [ ! -d "$fixtures" ]; then echo "pack.sh: no $fixtures: only the fixtures of the tests are carried"; fi
for folder in tests/Engine.Algorithms.Tests/fixtures/*/ "$fixtures"/*/; do
  if [ ! -f "$folder/fixture.json" ]; then continue; fi
  algorithm=$(sed -n 's/^ *"algorithm": *"\([^"]*\)".*/\1/p' "$folder/fixture.json" | head -n 1)
  if $kit/engine algorithms "$algorithm" >/dev/null 2>&1; then cp -r "$folder" $kit/fixtures/; else echo "not carried: $(basename "$folder"), for there is no $algorithm yet"; fi
done
chmod -R u+w $kit/fixtures
cp perf/compare.py $kit/perf/
cp perf/peers/*.py $kit/perf/peers/
cp perf/gpu/check.py $kit/perf/gpu/
{ git rev-parse --short HEAD && { git diff --quiet HEAD || echo "and changes"; }; } | paste -sd ' ' >$kit/COMMIT
tar -C perf/out/gpu -c kit | xz -T0 -4 >perf/out/gpu/kit.tar.xz
size=$(stat -c %s perf/out/gpu/kit.tar.xz)
echo "perf/out/gpu/kit.tar.xz: $((size / 1024 / 1024)) MiB, commit $(cat $kit/COMMIT), fixtures: $(ls $kit/fixtures | tr '\n' ' ')"
if [ "$size" -gt $most ]; then echo "pack.sh: that is more than $((most / 1024 / 1024)) MiB: give a folder with fewer fixtures" >&2; exit 1; fi
