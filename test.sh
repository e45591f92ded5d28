#!/usr/bin/env bash
# The project's checks: format, build with warnings as errors, samples, all tests. Installs nothing; announces what it skips.
#   ./test.sh           everything
#   ./test.sh --quick   what takes the least time for what it finds; says what it leaves out
#   ./test.sh --soak    ten million damaged files and 200 kills as well (hours)
#   ./test.sh --help    this text
# Two checks run at once where neither needs the other, for two cores (ENGINE_TEST_LANES=1: one after another); the order of the
# output does not depend on it. The last line is "N passed, N failed, N skipped"; the exit code is 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")"
quick='' filter=''
case "${1:-}" in
  "") ;;
  --quick) quick=1 filter='Speed!=Slow' ;;
  --soak) export ENGINE_SOAK=1 ENGINE_FUZZ_CASES=625000 ;; # of each of the 16 fuzz tests
  --help | -h) sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit ;;
  *) echo "test.sh: $1 is unknown; expected nothing, --quick, --soak or --help" >&2; exit 2 ;;
esac
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1
lanes=${ENGINE_TEST_LANES:-2}
results=$(mktemp -d)
passed=0 failed=0 skipped=0 running=()

stop() {
  local at
  for at in ${running[@]+"${running[@]}"}; do kill -TERM -- "-${pids[at]}" 2>/dev/null; done
  rm -rf "$results"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

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

# ---- The checks: a name, the names of those that must have passed before, a command. They are reported in this order, and of those
# that can begin the first does.
names=() needs=() commands=() pids=()
check() { # name, names of checks separated by |, command...
  names+=("$1") needs+=("$2")
  shift 2
  commands+=("$(printf '%q ' "$@")")
}

# How long the check under way took, and what it and its processes had of the processors (the compiler's server is none of them).
took() {
  times >"$own.times"
  spent=$(sed -n '2s/[ms]/ /gp' "$own.times" | awk -v wall=$((SECONDS - start)) '{ printf "%d s, %.0f s of CPU", wall, 60 * ($1 + $3) + $2 + $4 }')
}

# A command that passes or fails: counts as one test.
step() {
  local code=0
  "$@" >"$own.log" 2>&1 || code=$?
  took
  if [ $code -eq 0 ]; then count=(1 0 0); echo "$name: ok ($spent)"
  else
    count=(0 1 0); echo "$name: FAILED ($spent)"
    tail -n 40 "$own.log"
  fi
}

# The tests of a project, all or those of a filter.
suite() {
  local project=$1 only=${2:-} code counters ok bad total left
  if [ -n "$filter" ]; then only="${only:+($only)&}$filter"; fi
  dotnet test "tests/$project/bin/Release/net10.0/$project.dll" ${only:+--filter "$only"} --logger "trx;LogFileName=$own.trx" >"$own.log" 2>&1
  code=$?
  took
  counters=$(grep -o '<Counters [^>]*' "$own.trx" 2>/dev/null)
  of() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
  ok=$(of passed) bad=$(of failed) total=$(of total)
  if [ -z "$total" ] || [ "$total" -eq 0 ]; then
    count=(0 1 0); echo "$name: DID NOT RUN"
    tail -n 40 "$own.log"
    return
  fi
  left=$((total - ok - bad))
  count=("$ok" "$bad" "$left")
  echo "$name: $ok passed, $bad failed, $left skipped ($spent)"
  if [ "$left" -gt 0 ]; then
    # One line for each reason, with the number of tests it skipped.
    grep -A4 'outcome="NotExecuted"' "$own.trx" | sed -n 's/.*<StdOut>\(.*\)<\/StdOut>.*/  skipped: \1/p; s/.*<Message>\(.*\)<\/Message>.*/  skipped: \1/p' | sort | uniq -c | sed 's/^ *\([0-9]*\)   skipped: /  skipped (\1): /'
  fi
  if [ "$bad" -gt 0 ] || [ "$code" -ne 0 ]; then
    grep -vE '^\s+at (System|Xunit)\.' "$own.log" | grep -A12 -E '\[FAIL\]|Failed ' | head -n 120
    if [ "$bad" -eq 0 ]; then count=("$ok" 1 "$left"); echo "$name: dotnet test exited with $code"; fi
  fi
}

# All projects by one compiler, which is this build's alone and ends with it.
build() {
  local code compiler="engine-test-$$"
  dotnet build Engine.sln -c Release --no-restore -p:UseSharedCompilation=true -p:SharedCompilationId="$compiler"
  code=$?
  dotnet "$(dirname "$(readlink -f "$(command -v dotnet)")")/sdk/$(dotnet --version)/Roslyn/bincore/VBCSCompiler.dll" -shutdown -pipename:"$compiler" || true
  return $code
}

# Every kernel of the op table and of the kernels' tests (all tiles, in all precisions) and a training step are recorded where they
# are tested, and run again where each buffer has its exact size.
replay() {
  local record engine=algorithms/Engine.Cli/bin/Release/net10.0/engine.dll
  ENGINE_STANDIN_RECORD=$results/ops.record dotnet $engine verify --ops --device cuda || return
  ENGINE_STANDIN_RECORD=$results/update.record ENGINE_NO_CUDA_GRAPH=1 dotnet $engine bench edac --device cuda --rounds 1 --set batch_size=20 --set hidden_sizes=33,20 --set critics=3 || return
  for record in ops update kernels; do "$standin/replay" "$results/$record.record" || return; rm "$results/$record.record"; done
}

recorded() { ENGINE_STANDIN_RECORD=$results/kernels.record suite "$@"; }

check "restore" "" step dotnet restore Engine.sln
check "format" "" step dotnet format whitespace . --folder --verify-no-changes
check "build (warnings are errors)" "restore" step build
built="build (warnings are errors)"

# Without a GPU, CUDA is tested on a library that looks like NVIDIA's driver and runs the same kernels on the processor.
shim=kernels/Engine.Kernels.Cuda/cpu-shim standin=$PWD/.scratch/standin cuda=$built no_cuda=''
if [ -n "$quick" ]; then unset ENGINE_CUDA_DRIVER
elif [ -n "${ENGINE_CUDA_DRIVER:-}" ]; then echo "CUDA: the driver is $ENGINE_CUDA_DRIVER"
elif nvidia-smi -L >/dev/null 2>&1; then echo "CUDA: tested on $(nvidia-smi -L | head -n 1)"
elif command -v g++ >/dev/null; then
  export ENGINE_CUDA_DRIVER=$standin/libcuda_standin.so
  library="CUDA stand-in (g++)" cuda="$built|CUDA stand-in (g++)"
  kernels='FullyQualifiedName~GemmTests|FullyQualifiedName~ChainTests|FullyQualifiedName~.KernelTests'
  others='FullyQualifiedName!~GemmTests&FullyQualifiedName!~ChainTests&FullyQualifiedName!~.KernelTests'
  check "$library" "" step "$shim/build.sh" "$standin"
  check "Engine.Kernels.Cuda.Tests: kernels" "$cuda" recorded Engine.Kernels.Cuda.Tests "$kernels"
  check "CUDA replay (g++, AddressSanitizer)" "$library" step "$shim/build.sh" --replay "$standin"
  check "CUDA kernels under AddressSanitizer" "Engine.Kernels.Cuda.Tests: kernels|CUDA replay (g++, AddressSanitizer)" step replay
  check "CUDA stand-in: self-test" "CUDA replay (g++, AddressSanitizer)" step "$shim/selftest.sh" "$standin/selftest" "$standin"
else
  echo "CUDA: no GPU and no g++: its tests are skipped"
  no_cuda=1
fi

if [ -z "$quick" ]; then check "Engine.Kernels.Cuda.Tests" "$cuda" suite Engine.Kernels.Cuda.Tests ${others:+"$others"}; fi # the longest
for project in tests/*.Tests; do
  project=$(basename "$project")
  case $project in
    Engine.Kernels.Cuda.Tests) ;;
    Engine.Kernels.Ilgpu.Tests) check "$project" "$cuda" suite "$project" ;; # hosts of both
    *) check "$project" "$built" suite "$project" ;;
  esac
done
for sample in samples/*/; do
  name=$(basename "$sample")
  if [ -n "$quick" ]; then continue; fi
  if [[ $name != *Cuda* ]]; then check "sample $name" "$built" step dotnet run --project "$sample" -c Release --no-build
  elif [ -z "$no_cuda" ]; then check "sample $name" "$cuda" step dotnet run --project "$sample" -c Release --no-build
  else
    echo "sample $name: skipped, for there is no CUDA"
    skipped=$((skipped + 1))
  fi
done

if [ -n "$quick" ]; then
  echo "left out: CUDA (the kernels on the stand-in driver, its self-test, AddressSanitizer, Engine.Kernels.Cuda.Tests)"
  for sample in samples/*/; do echo "left out: sample $(basename "$sample")"; done
  # Tests say themselves that they are slow.
  grep -rA4 --include='*.cs' 'Trait("Speed", "Slow")' tests | sed -n 's/^tests\/\([^/]*\).*public void \([A-Za-z0-9_]*\)(.*/left out: \1: \2/p; s/^tests\/\([^/]*\).* class \([A-Za-z0-9]*\).*/left out: \1: all of \2/p' | grep -v ': Engine.Kernels.Cuda.Tests:' | tr _ ' ' | sort
fi

# ---- Runs them, `lanes` at once. A check writes what it reports to N.out and, when it has ended, what it counts to N.count.
run() { # number
  local own=$results/$1 name=${names[$1]} start=$SECONDS spent='' count=(0 1 0)
  eval "${commands[$1]}" >"$own.out" 2>&1
  echo "${count[@]}" >"$own.part"
  mv "$own.part" "$own.count"
}

outcomes=()
ended() { # number, passed, failed, skipped
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
  if [ "$3" -eq 0 ]; then outcomes[$1]=passed; else outcomes[$1]=failed; fi
}

may_begin() { # number: answers ready, never or wait
  local at IFS='|' need
  answer=ready
  for need in ${needs[$1]}; do
    for at in "${!names[@]}"; do
      if [ "${names[at]}" != "$need" ]; then continue; fi
      case ${outcomes[at]:-} in
        failed | never) answer=never; return ;;
        '') answer=wait ;;
      esac
    done
  done
}

pending=("${!names[@]}") reported=0
set -m # each check is a process group, so that all of it can be stopped
while [ "$reported" -lt ${#names[@]} ]; do
  still=()
  for at in ${running[@]+"${running[@]}"}; do
    alive=1
    kill -0 "${pids[at]}" 2>/dev/null || alive=''
    if [ -f "$results/$at.count" ]; then
      read -r ok bad not <"$results/$at.count"
      ended "$at" "$ok" "$bad" "$not"
    elif [ -n "$alive" ]; then still+=("$at")
    else
      echo "${names[at]}: ENDED FROM OUTSIDE" >>"$results/$at.out"
      ended "$at" 0 1 0
    fi
  done
  running=(${still[@]+"${still[@]}"}) left=()
  for at in ${pending[@]+"${pending[@]}"}; do
    may_begin "$at"
    if [ "$answer" = never ]; then
      echo "${names[at]}: not run, for it needs what failed" >"$results/$at.out"
      outcomes[at]=never
    elif [ "$answer" = ready ] && [ ${#running[@]} -lt "$lanes" ]; then
      run "$at" </dev/null &
      pids[at]=$!
      running+=("$at")
    else left+=("$at"); fi
  done
  pending=(${left[@]+"${left[@]}"})
  while [ -n "${outcomes[reported]:-}" ]; do
    cat "$results/$reported.out"
    reported=$((reported + 1))
  done
  if [ "$reported" -lt ${#names[@]} ]; then sleep 0.2; fi
done
finish
