#!/usr/bin/env bash
# The project's checks: format, build with warnings as errors, samples, all tests. Installs nothing; announces what it skips.
# --soak runs ten million damaged files and 200 kills as well (hours).
# The last line is "N passed, N failed, N skipped"; the exit code is 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")"
case "${1:-}" in
  "") ;;
  --soak) export ENGINE_SOAK=1 ENGINE_FUZZ_CASES=715000 ;; # of each of the 14 fuzz tests
  *) echo "test.sh: $1 is unknown; expected nothing or --soak" >&2; exit 2 ;;
esac
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
passed=0 failed=0 skipped=0

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit
}

if ! command -v dotnet >/dev/null; then
  echo "the .NET SDK (dotnet) is not on the PATH: see README.md"
  failed=1
  finish
fi
if [ -n "${ENGINE_DATA:-}" ] || [ -d ../shared/data ]; then echo "data: ${ENGINE_DATA:-../shared}"
else echo "data: none (no ENGINE_DATA, no ../shared): tests on real datasets and most fixtures are skipped"; fi

step() { # name, command...: counts as one test
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$results/step.log" 2>&1; then passed=$((passed + 1)); echo "$name: ok ($((SECONDS - start)) s)"
  else
    failed=$((failed + 1)); echo "$name: FAILED ($((SECONDS - start)) s)"
    tail -n 40 "$results/step.log"
  fi
}

step "restore" dotnet restore Engine.sln
step "format" dotnet format whitespace Engine.sln --verify-no-changes --no-restore
step "build (warnings are errors)" dotnet build Engine.sln -c Release --no-restore -p:UseSharedCompilation=false
if [ "$failed" -gt 0 ]; then finish; fi
# Every kernel of the op table and of the kernels' tests (all tiles, in all precisions) and a training step are recorded and run again where each buffer has its exact size.
replay() {
  local engine=algorithms/Engine.Cli/bin/Release/net10.0/engine.dll
  kernels/Engine.Kernels.Cuda/cpu-shim/build.sh --replay "$standin" || return
  ENGINE_STANDIN_RECORD=$results/ops.record dotnet $engine verify --ops --device cuda || return
  ENGINE_STANDIN_RECORD=$results/update.record ENGINE_NO_CUDA_GRAPH=1 dotnet $engine bench edac --device cuda --rounds 1 --set batch_size=20 --set hidden_sizes=33,20 --set critics=3 || return
  ENGINE_STANDIN_RECORD=$results/kernels.record dotnet test tests/Engine.Kernels.Cuda.Tests -c Release --no-build --filter 'FullyQualifiedName~GemmTests|FullyQualifiedName~ChainTests|FullyQualifiedName~.KernelTests' || return
  local record
  for record in ops update kernels; do "$standin/replay" "$results/$record.record" || return; rm "$results/$record.record"; done
}

# Without a GPU, CUDA is tested on a library that looks like NVIDIA's driver and runs the same kernels on the processor.
standin=$PWD/.scratch/standin
if [ -n "${ENGINE_CUDA_DRIVER:-}" ]; then echo "CUDA: the driver is $ENGINE_CUDA_DRIVER"
elif nvidia-smi -L >/dev/null 2>&1; then echo "CUDA: tested on $(nvidia-smi -L | head -n 1)"
elif command -v g++ >/dev/null; then
  step "CUDA stand-in (g++)" kernels/Engine.Kernels.Cuda/cpu-shim/build.sh "$standin"
  step "CUDA stand-in: self-test" kernels/Engine.Kernels.Cuda/cpu-shim/selftest.sh "$standin/selftest"
  if [ -f "$standin/libcuda_standin.so" ]; then
    export ENGINE_CUDA_DRIVER=$standin/libcuda_standin.so
    step "CUDA kernels under AddressSanitizer" replay
  fi
else echo "CUDA: no GPU and no g++: its tests are skipped"; fi
for sample in samples/*/; do step "sample $(basename "$sample")" dotnet run --project "$sample" -c Release --no-build; done

for project in tests/*.Tests; do
  name=$(basename "$project") start=$SECONDS
  dotnet test "$project" -c Release --no-build --logger "trx;LogFileName=$results/$name.trx" >"$results/$name.log" 2>&1
  code=$?
  counters=$(grep -o '<Counters [^>]*' "$results/$name.trx" 2>/dev/null)
  count() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
  ok=$(count passed) bad=$(count failed) total=$(count total)
  if [ -z "$total" ]; then
    failed=$((failed + 1)); echo "$name: DID NOT RUN"
    tail -n 40 "$results/$name.log"
    continue
  fi
  left=$((total - ok - bad))
  passed=$((passed + ok)); failed=$((failed + bad)); skipped=$((skipped + left))
  echo "$name: $ok passed, $bad failed, $left skipped ($((SECONDS - start)) s)"
  if [ "$left" -gt 0 ]; then
    # One line for each reason, with the number of tests it skipped.
    grep -A4 'outcome="NotExecuted"' "$results/$name.trx" | sed -n 's/.*<StdOut>\(.*\)<\/StdOut>.*/  skipped: \1/p; s/.*<Message>\(.*\)<\/Message>.*/  skipped: \1/p' | sort | uniq -c | sed 's/^ *\([0-9]*\)   skipped: /  skipped (\1): /'
  fi
  if [ "$bad" -gt 0 ] || [ "$code" -ne 0 ]; then
    grep -vE '^\s+at (System|Xunit)\.' "$results/$name.log" | grep -A12 -E '\[FAIL\]|Failed ' | head -n 120
    if [ "$bad" -eq 0 ]; then failed=$((failed + 1)); echo "$name: dotnet test exited with $code"; fi
  fi
done
finish
