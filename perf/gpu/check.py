#!/usr/bin/env python3
"""Checks and measures the carried build (perf/gpu/pack.sh) on a machine with an NVIDIA GPU; .NET is not needed there.

  check.py                              devices ops fixtures graph ilgpu
  check.py sanitizer --tools memcheck   compute-sanitizer; a tool a command where commands are limited, with --within
  check.py bench                        an update and matrix products beside PyTorch and JAX of this machine, on the GPU
  check.py cpu                          the same updates on the processor, one thread and all
  check.py ops graph --quick            tiny sizes, few cases: what the stand-in driver does in seconds

Every stage writes OUT/STAGE.log as it goes and, when it ends, a line of OUT/summary.md; a stage that takes longer than its limit is ended and is a failure. What cannot run here (no compute-sanitizer, no
PyTorch) is announced as SKIPPED and is no success. The last line is "N passed, N failed, N skipped"; the exit code is 1 if anything failed.
"""
import argparse
import glob
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
KIT = HERE.parent.parent if (HERE.parent.parent / "engine").is_file() else HERE.parent / "out" / "gpu" / "kit"
PRECISIONS = ("float32", "tf32", "bfloat16")
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
SMALL = ["--set", "hidden_sizes=32,32", "--set", "batch_size=32"]

options = None


class Failed(Exception):
    """A check that does not hold: the stage goes on, and is a failure."""


class Skipped(Exception):
    """The stage cannot run on this machine."""


class Stage:
    """The log and the findings of a stage."""

    def __init__(self, name, limit):
        self.name, self.end = name, time.monotonic() + limit
        self.log = open(options.out / f"{name}.log", "w+", encoding="utf-8", errors="replace")
        self.done, self.failures, self.skipped = 0, [], []

    def say(self, text):
        print(f"  {text}", flush=True)
        self.write(text + "\n")

    def write(self, text):
        self.log.write(text)
        self.log.flush()

    def run(self, command, environment=None, limit=None, check=True):
        """What a command prints, in the log too. Failed if its exit code is not 0 or it takes too long."""
        variables = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_") or k.startswith(("ENGINE_CUDA_DRIVER", "ENGINE_STANDIN"))}
        variables.update(environment or {})
        # Where the single file unpacks its libraries, even without a home; no globalisation libraries are needed.
        variables.setdefault("DOTNET_BUNDLE_EXTRACT_BASE_DIR", str(Path(tempfile.gettempdir()) / "engine-gpu-kit"))
        command = [str(c) for c in command]
        typed = " ".join([f"{k}={v}" for k, v in (environment or {}).items()] + command)
        seconds = min(self.end - time.monotonic(), limit or 1e9)
        self.write(f"$ {typed}\n")
        if seconds <= 0:
            raise TimeoutError(f"no time is left for {typed}")
        start, at = time.monotonic(), os.fstat(self.log.fileno()).st_size
        # Straight into the log: what was printed stays even if all of this is killed.
        process = subprocess.Popen(command, env=variables, stdout=self.log, stderr=subprocess.STDOUT, cwd=options.out, start_new_session=True)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its own session, with what it started
                process.wait()
        self.log.seek(at)
        text = self.log.read()
        self.write(f"[{'ended after its limit' if code is None else f'exit code {code}'}, {time.monotonic() - start:.1f} s]\n")
        if code is None:
            raise (Failed if limit and seconds == limit else TimeoutError)(f"{typed}: took longer than {seconds:.0f} s")
        if check and code != 0:
            raise Failed(f"{typed}: exit code {code}: {' / '.join(text.strip().splitlines()[-3:])}")
        return text

    def engine(self, *arguments, **more):
        return self.run([options.engine, *arguments], **more)

    def json(self, *arguments, **more):
        """The objects that an engine command prints."""
        return [json.loads(line) for line in self.engine(*arguments, "--json", **more).splitlines() if line.startswith("{")]

    def attempt(self, check, *arguments):
        """One of several checks: the others run even if it fails."""
        try:
            said = check(*arguments)
            self.done += 1
            if said:
                self.say(said)
        except (Skipped, TimeoutError):
            raise
        except Exception as e:  # what was not foreseen is a failure of this check alone
            self.fail(e)

    def fail(self, e):
        what = str(e) if isinstance(e, Failed) else f"{type(e).__name__}: {e}"
        if not isinstance(e, Failed):
            self.write(traceback.format_exc())
        self.failures.append(what)
        self.say(f"FAILED: {what}")

    def skip(self, what):
        self.skipped.append(what)
        self.say(f"SKIPPED: {what}")


def gpu(stage):
    """What the program says of the first GPU."""
    found = [d for d in stage.json("devices") if d["device"] == "cuda"]
    if not found or "unavailable" in found[0]:
        raise Failed(f"engine sees no GPU: {found[0]['unavailable'] if found else 'no line for cuda'}")
    return found[0]


def precisions(stage):
    """Those that are wanted and the GPU has."""
    wanted = options.precisions.split(",")
    if float(gpu(stage)["compute_capability"]) >= 8:
        return wanted
    stage.skip("tf32 and bfloat16: the GPU's compute capability is below 8.0")
    return [p for p in wanted if p == "float32"]


# ---- stages ----

def devices(stage):
    """the GPU as the program sees it, and what else is on this machine"""
    def look():
        found = gpu(stage)
        return f"{found['description']}, compute capability {found['compute_capability']}, {found['multiprocessors']} multiprocessors, {found['memory_bytes'] / 1e9:.1f} GB, driver for CUDA {found['driver_cuda_version']}"

    stage.attempt(look)
    stage.say(f"kit: commit {(KIT / 'COMMIT').read_text().strip() if (KIT / 'COMMIT').exists() else 'unknown'}; Linux {platform.release()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    for command in (["nvidia-smi"], ["nvidia-smi", "-q", "-d", "CLOCK,POWER,PERFORMANCE"]):
        if shutil.which(command[0]):
            stage.run(command, check=False)
        else:
            stage.skip(f"{' '.join(command)}: not on this machine")
    for name in ("torch", "jax"):
        version = peer_version(stage, name)
        stage.say(f"{name} {version}") if version else stage.skip(f"{name}: not in {options.python}")


def ops(stage):
    """every op of the table against float64, in each precision"""
    def verify(precision):
        found = stage.json("verify", "--ops", "--device", "cuda", "--precision", precision, check=False)
        if not found:
            raise Failed(f"ops in {precision} did not run: see {stage.name}.log")
        if found[0]["failed"] or not found[0]["cases"] or found[0]["precision"] != precision:
            stage.engine("verify", "--ops", "--device", "cuda", "--precision", precision, check=False)  # which ones, for the log
            raise Failed(f"ops in {precision}: {found[0]['failed']} of {found[0]['cases']} cases fail")
        return f"{precision}: {found[0]['ops']} ops in {found[0]['cases']} cases agree"

    for precision in precisions(stage):
        stage.attempt(verify, precision)


def fixtures(stage):
    """recorded updates of independent implementations, replayed on the GPU in float32"""
    folders = sorted(f.parent for f in options.fixtures.glob("*/fixture.json"))
    if options.quick:
        folders = [f for f in folders if f.name in ("bc", "td3-bc")]
    if not folders:
        raise Failed(f"no fixtures in {options.fixtures}")
    for folder in folders:
        stage.attempt(lambda folder: stage.engine("verify", folder, "--device", "cuda", "--quiet").strip().splitlines()[-1].replace(str(options.fixtures) + "/", ""), folder)


def graph(stage):
    """updates as a CUDA graph, again, kernel by kernel, and in the plan's order: the same bits; one launch an update and no wait"""
    algorithms = options.algorithms.split(",")
    ways = {"as a graph": {}, "again": {}, "kernel by kernel": {"ENGINE_NO_CUDA_GRAPH": "1"}, "in the plan's order": {"ENGINE_NO_CUDA_CONCURRENCY": "1"}}

    def compare(algorithm, precision):
        found = {}
        for way, environment in ways.items():
            found[way] = stage.json("bench", algorithm, "--device", "cuda", "--precision", precision, "--rounds", 3, *(SMALL if options.quick else []), environment=environment)[0]
        digests = {way: f["digest"] for way, f in found.items()}
        if len(set(digests.values())) != 1:
            raise Failed(f"{algorithm} in {precision}: other bits: {digests}")
        for way, f in found.items():
            graphs = 0 if way == "kernel by kernel" else 1
            if (f["graph_launches"], f["host_waits"]) != (graphs, 0) or f["kernel_launches"] != (0 if graphs else f["kernels_run"]) or f["kernels_run"] <= 0:
                raise Failed(f"{algorithm} in {precision}, {way}: {f['graph_launches']} graph launches, {f['kernel_launches']} kernel launches, {f['host_waits']} waits an update")
        times = ", ".join(f"{way} {f['seconds'] * 1e6:.0f} us" for way, f in found.items())
        return f"{algorithm} in {precision}: {digests['again']}, {found['again']['kernels_run']:g} kernels in one launch; {times}"

    known = precisions(stage)
    for algorithm in algorithms:
        for precision in known if algorithm in ("sac-n", "edac") else ["float32"]:
            stage.attempt(compare, algorithm, precision)


def ilgpu(stage):
    """the portable device on the same GPU (--ilgpu): ops against float64, and an update twice, the same bits; its times stand in bench's entry ilgpu"""
    found = {d["device"]: d for d in stage.json("devices")}
    if options.ilgpu not in found:
        raise Skipped(f"no {options.ilgpu}: {found['ilgpu']['unavailable'] if 'ilgpu' in found else 'engine lists ' + ', '.join(found)}")
    stage.say(f"{options.ilgpu}: {found[options.ilgpu]['description']}")

    def verify():
        only = ["--only", "tanh,sum"] if options.quick else []
        said = stage.json("verify", "--ops", *only, "--device", options.ilgpu, check=False)
        if not said or said[0]["failed"] or not said[0]["cases"]:
            stage.engine("verify", "--ops", *only, "--device", options.ilgpu, check=False)  # which ones, for the log
            raise Failed(f"ops on {options.ilgpu}: {said[0]['failed']} of {said[0]['cases']} cases fail" if said else f"ops on {options.ilgpu} did not run: see {stage.name}.log")
        return f"{said[0]['ops']} ops in {said[0]['cases']} cases agree"

    def twice(algorithm):
        runs = [stage.json("bench", algorithm, "--device", options.ilgpu, "--rounds", 3, *(SMALL if options.quick else []))[0] for _ in range(2)]
        if len({r["digest"] for r in runs}) != 1:
            raise Failed(f"{algorithm} on {options.ilgpu}: other bits: {', '.join(r['digest'] for r in runs)}")
        return f"{algorithm}: {runs[0]['digest']} twice, {runs[1]['seconds'] * 1e6:.0f} us, {runs[1]['allocated_bytes']:g} bytes allocated an update"

    stage.attempt(verify)
    for algorithm in ("td3-bc",) if options.quick else ("td3-bc", "sac-n", "edac"):
        stage.attempt(twice, algorithm)


def sanitizer(stage):
    """compute-sanitizer's tools (--tools) on all ops (in tf32 and bfloat16 on products alone) and on small updates"""
    tool = options.sanitizer or find_sanitizer()
    if tool is None:
        raise Skipped("no compute-sanitizer on the PATH, under /usr/local/cuda*, /opt/nvidia or in pip's packages")
    stage.say(f"{tool}: {(stage.run([tool, '--version'], check=False).strip().splitlines() or ['it says no version'])[-1]}")
    update = ["--device", "cuda", "--rounds", "1", "--json", *SMALL]

    def ops(precision):
        only = [] if precision == "float32" else ["--only", "matmul,linear"]  # nothing else depends on it
        return ["verify", "--ops", *only, "--device", "cuda", "--precision", precision, "--json"], {"ENGINE_NO_CUDA_GRAPH": "1"}

    works = {f"ops in {p}": ops(p) for p in precisions(stage)}
    works.update({a: (["bench", a, *update], {"ENGINE_NO_CUDA_GRAPH": "1"}) for a in ("sac-n", "edac", "td3-bc")})
    works["edac as a graph"] = (["bench", "edac", *update], {})
    if options.quick:
        works = {"td3-bc": works["td3-bc"]}

    def examine(check, what, arguments, environment):
        text = stage.run([tool, "--tool", check, "--target-processes", "all", "--print-limit", "20", "--error-exitcode", "99", options.engine, *arguments], environment=environment, limit=options.sanitizer_limit, check=False)
        # Without this line the tool has not looked.
        summaries = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: \d+ .*", text)
        if not summaries or any(not re.search("SUMMARY: 0 ", s) for s in summaries):
            raise Failed(f"{check} of {what}: {'; '.join(summaries) or 'no summary: the tool did not attach'}")
        return f"{check} of {what}: {summaries[-1]}"

    for check in options.tools.split(","):
        for what, (arguments, environment) in works.items():
            stage.attempt(examine, check, what, arguments, environment)


def bench(stage):
    """perf/compare.py --device cuda: what the GPU must reach, beside PyTorch and JAX"""
    peers = peer_options(stage)
    compare(stage, *options.entries.split(","), "--device", "cuda", "--precisions", options.precisions, "--ilgpu", options.ilgpu, *peers, *(["--small"] if options.quick else []))


def cpu(stage):
    """perf/compare.py on the processor, one thread and all: sac-n, edac, large-batch, gemm"""
    peers = peer_options(stage)
    entries = ["sac-n"] if options.quick else ["sac-n", "edac", "gemm", "large-batch"]
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        compare(stage, *entries, "--threads", threads, *peers, *(["--compile"] if options.compile else []))


STAGES = {"devices": (devices, 60), "ops": (ops, 300), "fixtures": (fixtures, 300), "graph": (graph, 300), "ilgpu": (ilgpu, 300), "sanitizer": (sanitizer, 2400), "bench": (bench, 3000), "cpu": (cpu, 1500)}
DEFAULT = ["devices", "ops", "fixtures", "graph", "ilgpu"]


def compare(stage, *arguments):
    def measure():
        text = stage.run([sys.executable, HERE.parent / "compare.py", *arguments, "--engine", options.engine, "--results", options.out, "--rounds", options.rounds, "--limit", 300, *(["--quick"] if options.quick else [])], environment={"PYTHONUNBUFFERED": "1"}, check=False)
        for line in text.splitlines():
            print(f"  {line}")
        counts = re.search(r"^(\d+) figures reached, (\d+) not", text, re.M)
        broken = re.search(r"^peers that failed: .*", text, re.M)
        if not counts or broken:
            raise Failed(broken.group(0) if broken else f"compare.py ended early: {text.strip().splitlines()[-1]}")
        return f"{counts.group(0)}: the table says which"

    stage.attempt(measure)


def peer_version(stage, name):
    done = stage.run([options.python, "-c", f"import importlib.metadata as m; print('version', m.version('{name}'))"], check=False)
    found = re.search(r"^version (\S+)", done, re.M)
    return found and found.group(1)


def peer_options(stage):
    """For compare.py: the interpreter that has PyTorch and JAX, if it has."""
    torch, jax = peer_version(stage, "torch"), peer_version(stage, "jax")
    for name, version in (("PyTorch", torch), ("JAX", jax)):
        if not version:
            stage.skip(f"{name} is not in {options.python}: no peer")
    if not torch:
        return ["--ours"]
    return ["--python", options.python, *(["--jax", options.python] if jax else [])]


def find_sanitizer():
    places = [shutil.which("compute-sanitizer"), *glob.glob("/usr/local/cuda*/bin/compute-sanitizer"), *glob.glob("/usr/local/cuda*/compute-sanitizer/compute-sanitizer"), *glob.glob("/opt/nvidia/**/compute-sanitizer", recursive=True)]
    packages = importlib.util.find_spec("nvidia")
    for folder in (packages.submodule_search_locations or []) if packages else []:
        places += glob.glob(f"{folder}/**/compute-sanitizer", recursive=True)
    return next((p for p in places if p and os.path.isfile(p) and os.access(p, os.X_OK)), None)


def run(name):
    """A stage; its line of the summary."""
    work, limit = STAGES[name]
    limit = min(options.limit or limit, max(0, options.end - time.monotonic()))
    print(f"{name}: {work.__doc__}", flush=True)
    stage, start = Stage(name, limit), time.monotonic()
    try:
        work(stage)
    except Skipped as e:
        stage.skip(str(e))
    except TimeoutError as e:
        stage.fail(Failed(f"ended after {limit:.0f} s, with {stage.done} checks done: {e}"))
    except Exception as e:  # the stages after it run
        stage.fail(e)
    result = "FAILED" if stage.failures else "passed" if stage.done else "SKIPPED"
    notes = "; ".join([f"{stage.done} checks hold", *(f"FAILED: {f}" for f in stage.failures), *(f"skipped: {s}" for s in stage.skipped)])
    print(f"{name}: {result} ({time.monotonic() - start:.0f} s)", flush=True)
    return result, f"| {name} | {result} | {time.monotonic() - start:.0f} s | {notes.replace('|', '/')[:2000]} |\n"


def main():
    global options
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="; ".join(f"{n}: {f.__doc__} (limit {s} s)" for n, (f, s) in STAGES.items()))
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or KIT.parent / "results"), help="for logs, summary and results (%(default)s; $OUT if set)")
    parser.add_argument("--engine", type=Path, default=KIT / "engine", help="the program (%(default)s)")
    parser.add_argument("--fixtures", type=Path, default=KIT / "fixtures", help="a folder of fixtures (%(default)s)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch and JAX (%(default)s)")
    parser.add_argument("--limit", type=float, help="seconds of each stage, in place of its own")
    parser.add_argument("--within", type=float, default=1e9, help="seconds of all stages together, where a command is limited: what has been found by then is written down")
    parser.add_argument("--sanitizer", help="compute-sanitizer (default: looked for)")
    parser.add_argument("--sanitizer-limit", type=float, default=300, help="seconds of each run of compute-sanitizer (300)")
    parser.add_argument("--tools", default=",".join(TOOLS), help="of sanitizer: which of its tools (%(default)s); where commands are limited, one a command")
    parser.add_argument("--rounds", type=int, default=3, help="of bench and cpu (3)")
    parser.add_argument("--entries", default="all", help="of bench, with commas: gemm,sac-n,edac,large-batch,members,ilgpu (all)")
    parser.add_argument("--ilgpu", default="ilgpu:cuda:0", help="of ilgpu and of bench's entry of that name: which of ILGPU's accelerators (%(default)s)")
    parser.add_argument("--compile", action="store_true", help="of cpu: PyTorch's compiled update too (minutes)")
    parser.add_argument("--algorithms", default="bc,td3-bc,iql,awac,sac-n,edac,lb-sac,discrete-bc,dqn", help="of graph (%(default)s)")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="of ops, graph, sanitizer and bench (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does the kit itself work?")
    options = parser.parse_args()
    chosen = options.stages or DEFAULT
    for name in chosen:
        if name not in STAGES:
            parser.error(f"{name} is no stage; there are {', '.join(STAGES)}")
    if unknown := [p for p in options.precisions.split(",") if p not in PRECISIONS]:
        parser.error(f"--precisions {unknown[0]}: expected some of {', '.join(PRECISIONS)}")
    if unknown := [t for t in options.tools.split(",") if t not in TOOLS]:
        parser.error(f"--tools {unknown[0]}: expected some of {', '.join(TOOLS)}")
    options.engine, options.fixtures, options.out = options.engine.resolve(), options.fixtures.resolve(), options.out.resolve()
    if not options.engine.is_file():
        parser.error(f"{options.engine}: no such file; perf/gpu/pack.sh makes it, on a machine with .NET")
    options.out.mkdir(parents=True, exist_ok=True)
    options.end = time.monotonic() + options.within
    results = []
    with open(options.out / "summary.md", "a", buffering=1) as summary:
        summary.write(f"\n{time.strftime('%Y-%m-%d %H:%M')}: `check.py {' '.join(sys.argv[1:])}`\n\n| stage | result | time | |\n|---|---|---|---|\n")
        for name in chosen:
            result, line = run(name)
            results.append(result)
            summary.write(line)
    print(f"logs and summary: {options.out}")
    print(", ".join(f"{results.count(r)} {r.lower()}" for r in ("passed", "FAILED", "SKIPPED")))
    return 1 if "FAILED" in results else 0


if __name__ == "__main__":
    sys.exit(main())
