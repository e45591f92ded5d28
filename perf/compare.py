#!/usr/bin/env python3
"""Measures what Engine must reach (the entries below), beside its peers: in every round each side runs once, in a process of its own, pinned to the same processors.

  perf/compare.py gemm policy            those entries; `all` is every one; --list says what each is
  perf/compare.py sac-n --quick          one round of a few samples: does it run?
  perf/compare.py all --ours             without peers
  perf/compare.py all --device cuda      what a GPU must reach, beside PyTorch (call by call, as a CUDA graph, compiled as one) and, with --jax, JAX

A figure is the median over rounds of what a side printed (itself a median), with the least and the most; a ratio is taken round by round. The table is printed, and appended to
perf/results/DATE-MACHINE.md with the machine, the commands and the load. perf/peers/setup.sh comes first.
"""
import argparse
import datetime
import functools
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

PERF = Path(__file__).resolve().parent
ROOT = PERF.parent
BUILT = PERF / "out" / "engine" / "engine"
PEERS = PERF / "peers"
CORES = {"": "unset", "SkylakeX": "SkylakeX"}  # OPENBLAS_CORETYPE: the faster of the two is the peer
# What peers compile is compiled once, not in every round.
INDUCTOR = {"TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir()) / "engine-inductor")}
XLA = {"JAX_COMPILATION_CACHE_DIR": str(Path(tempfile.gettempdir()) / "engine-xla")}

options = None
commands = []  # as they could be typed, for the results
versions = {}


class Side:
    """A command that prints JSON lines, run once a round. A peer that fails is left out from then on, and the table says so."""

    def __init__(self, label, command, cpus=None, environment=None, peer=True):
        self.label, self.command, self.environment, self.peer = label, [str(c) for c in command], environment or {}, peer
        cpus = options.threads if cpus is None else cpus
        self.cpus = options.cpus.split(",")[:cpus] if cpus > 0 else options.cpus.split(",")[cpus:]
        self.rounds, self.out = [], False

    def run(self):
        environment = {k: v for k, v in os.environ.items() if not re.match("OPENBLAS|GOTO|OMP_|MKL_|XLA_|ENGINE_(?!CUDA_DRIVER|STANDIN)", k)}
        pinned = []
        if options.device == "cpu":  # beside a GPU PyTorch needs a thread for the backward pass
            environment.update(OMP_NUM_THREADS=str(len(self.cpus)), OPENBLAS_NUM_THREADS=str(len(self.cpus)))
            pinned = ["taskset", "-c", ",".join(self.cpus)]
        environment.update(self.environment)
        shown = [os.path.relpath(c, ROOT) if c.startswith(str(ROOT)) else c for c in self.command]
        typed = " ".join([f"{k}={v}" for k, v in self.environment.items()] + pinned + shown)
        if typed not in commands:
            commands.append(typed)
        try:
            done = subprocess.run([*pinned, *self.command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=options.limit)
            lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            why = f"exited with {done.returncode}: {done.stderr.strip()}" if done.returncode != 0 else None if lines else "printed nothing"
        except subprocess.TimeoutExpired:
            why = f"did not end within {options.limit} s"
        if why:
            if not self.peer:
                sys.exit(f"{typed}\n{why}")
            print("\n".join([typed, *why.splitlines()[-30:]]), file=sys.stderr)
            self.out = True
            failed.append(self.label)
            row(f"{self.label} FAILED", why.splitlines()[-1].replace("|", "/")[:200])
            return
        for line in lines:
            if "version" in line:
                versions[self.label] = line["version"]
        self.rounds.append(lines)
        raw_folder = options.results or PERF / "out"
        raw_folder.mkdir(parents=True, exist_ok=True)
        with open(raw_folder / "compare.jsonl", "a") as raw:
            for line in lines:
                raw.write(json.dumps({"time": datetime.datetime.now().isoformat(timespec="seconds"), "side": self.label, "command": typed, **line}) + "\n")

    def values(self, *path, line=0):
        """A number of every round."""
        found = []
        for lines in self.rounds:
            value = lines[line]
            for key in path:
                value = value[key]
            found.append(value)
        return found

    def seconds(self, line=0):
        return self.values("seconds", line=line)


def engine(*arguments, label="engine", samples=40, device=None, **more):
    device = device or options.device
    if device != "cpu":
        arguments = [*arguments, "--device", device]
    elif options.threads > 1 and "--threads" not in arguments:
        arguments = [*arguments, "--threads", options.threads]
    return Side(label, [options.engine or BUILT, "bench", *arguments, "--json", "--rounds", 3 if options.quick else samples], peer=False, **more)


@functools.cache
def cores():
    """OpenBLAS's core types that make a difference to this PyTorch: none where it multiplies by another library."""
    mkl = subprocess.run([options.python, "-c", "import torch; print('BLAS_INFO=mkl' in torch.__config__.show())"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip() == "True"
    return {"": "MKL"} if mkl else CORES


def pytorch(algorithm, *arguments, samples=40, warmup=5):
    """PyTorch with either core type of OpenBLAS, compiled too if asked for, and JAX if there is one."""
    if options.ours:
        return []
    timing = ["--samples", 3 if options.quick else samples]
    if algorithm == "gemm":
        return [Side("PyTorch", [options.python, PEERS / "pytorch.py", algorithm, *arguments, *timing, "--threads", options.threads])]
    shared = [algorithm, *arguments, *timing, "--warmup", 2 if options.quick else warmup]
    command = [options.python, PEERS / "pytorch.py", *shared, "--threads", options.threads]
    sides = [Side(f"PyTorch ({name})", command, environment={"OPENBLAS_CORETYPE": core} if core else {}) for core, name in cores().items()]
    if options.compile and algorithm != "edac":
        sides.append(Side("PyTorch (compiled)", [*command, "--compile"], environment=INDUCTOR))
    if options.jax and algorithm in ("sac-n", "edac"):
        sides.append(Side("JAX", [options.jax, PEERS / "jax_updates.py", *shared]))
    return sides


def interleave(*sides, rounds=None, least=None):
    """Each side once a round. With a number as least, peers that took that many times as long as the fastest in the first round are not run again."""
    for i in range(1 if options.quick else rounds or options.rounds):
        for side in sides if i % 2 == 0 else reversed(sides):
            if not side.out:
                side.run()
        peers = [s for s in sides if s.peer and not s.out]
        if least and i == 0 and peers:
            fastest = min(s.seconds()[0] for s in peers)
            for slow in (s for s in peers if s.seconds()[0] > least * fastest):
                slow.out = True


# ---- figures ----

rows = []
failed = []  # labels of peers


def write(text):
    """Appended to the table at once: what is measured stays if the rest is killed."""
    if options.table is None:
        return
    with open(options.table, "a") as out:
        out.write(text)


def paragraph(text):
    """As the repository's pages are wrapped."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def row(*cells):
    rows.append([*cells, *[""] * (5 - len(cells))])
    write("| " + " | ".join(rows[-1]) + " |\n")
    print("  " + "  ".join(cell for cell in cells if cell), flush=True)


def unit(seconds):
    return f"{seconds * 1e6:.2f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.3f} s"


def figure(what, values, target=None, reached=None, form=str):
    middle = statistics.median(values)
    verdict = "" if reached is None else "yes" if reached(middle) else "NO"
    row(what, form(middle), f"[{form(min(values))}, {form(max(values))}]", target or "", verdict)


def percent(value):
    return f"{value * 100:.1f}%"


def times(value):
    return f"{value:.2f}x"


def at_most(limit, form=unit):
    return dict(target=f"at most {form(limit)}", reached=lambda v: v <= limit, form=form)


def at_least(limit, form=percent):
    return dict(target=f"at least {form(limit)}", reached=lambda v: v >= limit, form=form)


def ratio(a, b):
    return [x / y for x, y in zip(a, b)]


def faster(sides, line=0, *path):
    return min(sides, key=lambda s: statistics.median(s.values(*(path or ("seconds",)), line=line)))


def against(what, ours, peers, least=1.0, line=0):
    """How many times as long the faster peer takes; every peer's time besides."""
    peers = [p for p in peers if p.rounds]
    for peer in peers:
        figure(f"{what}: {peer.label}", peer.seconds(line), form=unit)
    if peers:
        best = faster(peers, line)
        wanted = dict(target=f"more than {times(least)}" if least == 1 else f"at least {times(least)}", reached=lambda v: v > least) if least else {}
        figure(f"{what}: {best.label} takes", ratio(best.seconds(line), ours.seconds(line)), form=times, **wanted)


# ---- entries: a line of the table each ----

def gemm():
    """sgemm of cubes and of an update's shapes against the multiply-add peak and OpenBLAS; without setup.sh against PyTorch"""
    shapes = [("256x256x256", 0.90), ("512x512x512", 0.95), ("1024x1024x1024", 0.95), ("256x23x256", None), ("256x256x1", None), ("10x256x256x256", 0.90)]
    ours = engine("gemm", *[s for s, _ in shapes])
    peers = [] if options.ours else pytorch("gemm", *[s for s, _ in shapes]) if not has_openblas() else [
        Side(f"OpenBLAS ({name})", [PEERS / "out" / "openblas", options.openblas, 3 if options.quick else 40, *[s for s, _ in shapes]], environment={"OPENBLAS_CORETYPE": core} if core else {}) for core, name in CORES.items()]
    interleave(ours, *peers)
    for line, (shape, least) in enumerate(shapes):
        figure(f"sgemm {shape}", ours.seconds(line), form=unit)
        figure(f"sgemm {shape}: share of peak", ours.values("nominal_share_of_peak", line=line), **(at_least(least) if least else {"form": percent}))
        against(f"sgemm {shape}", ours, peers, line=line)
    figure("measured multiply-add peak, GFLOP/s", ours.values("roofline", "gflops"), form="{:.0f}".format)


def update(algorithm, limit=None, share=None, settings=(), peer=(), samples=40, warmup=5, rounds=None, memory=False):
    ours, peers = engine(algorithm, *settings, samples=samples), pytorch(algorithm, *peer, samples=samples, warmup=warmup)
    interleave(ours, *peers, rounds=rounds)
    limit = limit if options.threads == 1 else None  # the limits are those of one thread
    name = " ".join([algorithm, *[s for s in settings if s != "--set"]])
    figure(f"{name}: update", ours.seconds(), **(at_most(limit) if limit else {"form": unit}))
    figure(f"{name}: nominal GFLOP", ours.values("nominal_gflop"), form="{:.3f}".format)
    figure(f"{name}: executed GFLOP", ours.values("executed_gflop"), form="{:.3f}".format)
    figure(f"{name}: nominal share of peak", ours.values("nominal_share_of_peak"), **(at_least(share) if share else {"form": percent}))
    figure(f"{name}: executed share of peak", ours.values("executed_share_of_peak"), form=percent)
    against(name, ours, peers)
    if memory:
        megabytes = "{:.0f} MB".format
        figure(f"{name}: most memory of the process", [v / 1e6 for v in ours.values("peak_memory_bytes")], form=megabytes)
        if peers := [p for p in peers if p.rounds]:
            best = faster(peers)
            figure(f"{name}: most memory, {best.label}", [v / 1e6 for v in best.values("peak_memory_bytes")], form=megabytes)
            figure(f"{name}: memory, of the peer's", ratio(ours.values("peak_memory_bytes"), best.values("peak_memory_bytes")), **at_most(0.5, percent))


def sac_n():
    """update of SAC-N: N 10, batch 256, 17 observations, 6 actions, 3 x 256"""
    update("sac-n", limit=0.022)


def edac():
    """update of EDAC, the same sizes"""
    update("edac", limit=0.036)


def large_batch():
    """update of SAC-N with LB-SAC's batch of 10,000, and the memory it takes"""
    update("sac-n", limit=0.87, settings=["--set", "batch_size=10000"], peer=["--batch", "10000"], samples=4, warmup=2, rounds=min(3, options.rounds), memory=True)


def td3_bc():
    """update of TD3+BC: batch 256, 2 x 256"""
    update("td3-bc", share=0.75)


def iql():
    """update of IQL: batch 256, 2 x 256"""
    update("iql", share=0.75)


def members():
    """whether SAC-N's time is linear in N: 50 critics against 10"""
    ten, fifty = engine("sac-n", label="N 10"), engine("sac-n", "--set", "critics=50", label="N 50", samples=10)
    interleave(ten, fifty)
    figure("sac-n: N 10", ten.seconds(), form=unit)
    figure("sac-n: N 50", fifty.seconds(), form=unit)
    figure("sac-n: N 50, of five times N 10", [b / (5 * a) for a, b in zip(ten.seconds(), fifty.seconds())], **at_most(1.1, percent))


def threads():
    """SAC-N and EDAC with two threads against one: time and bits"""
    for algorithm in ("sac-n", "edac"):
        one, two = engine(algorithm, "--threads", 1, label="one thread", cpus=1), engine(algorithm, "--threads", 2, cpus=2, label="two threads")
        interleave(one, two)
        figure(f"{algorithm}: one thread", one.seconds(), form=unit)
        figure(f"{algorithm}: two threads", two.seconds(), form=unit)
        figure(f"{algorithm}: two threads are faster by", ratio(one.seconds(), two.seconds()), **(at_least(1.8, times) if algorithm == "sac-n" else {"form": times}))
        figure(f"{algorithm}: states that differ after the first updates", [len(set(one.values("digest") + two.values("digest"))) - 1], target="none", reached=lambda v: v == 0)


def policy():
    """latency of a deterministic policy at one observation, and what it allocates, against ONNX Runtime with bound buffers"""
    for hidden, limit in (("256-256", 1.7e-6), ("256-256-256", 3.1e-6)):
        # The last of the processors: interrupts mostly go to the first.
        ours = engine("bc", "--policy", "--set", f"hidden_sizes={hidden.replace('-', ',')}", "--set", "normalize_observations=false", cpus=-1)
        calls = 2500 * (3 if options.quick else 40)
        peers = [] if options.ours else [Side("ONNX Runtime", [PEERS / "out" / "onnxruntime", PEERS / "out" / "libonnxruntime.so.1", calls, f"17-{hidden}-6"], cpus=-1)]
        interleave(ours, *peers)
        name = f"policy 17-{hidden}-6"
        p50 = ours.values("latency", "p50")
        figure(f"{name}: p50", p50, **at_most(limit))
        figure(f"{name}: p99.9, of p50", ratio(ours.values("latency", "p999"), p50), **at_most(5, times))
        figure(f"{name}: bytes allocated by {calls:,} calls", ours.values("latency", "allocated_bytes"), target="0", reached=lambda v: v == 0, form="{:.0f}".format)
        for peer in peers:
            figure(f"{name}: {peer.label} p50", peer.values("latency", "p50"), form=unit)
            figure(f"{name}: {peer.label} p99.9, of p50", ratio(peer.values("latency", "p999"), peer.values("latency", "p50")), form=times)
            figure(f"{name}: {peer.label} takes", ratio(peer.values("latency", "p50"), p50), **at_least(2, times))


def elementwise():
    """a chain, Adam and Polyak, with operands in each cache and in memory, against the bandwidth measured there"""
    works = {kind: engine(kind) for kind in ("chain", "adam", "polyak")}
    call = engine("add", "64", label="a call")
    interleave(*works.values(), call)
    figure("a call of a program with one kernel of nothing to do", call.seconds(), form=unit)
    for kind, side in works.items():
        for line, first in enumerate(side.rounds[0]):
            name = f"{first['work']} in {first['level']}"
            figure(f"{name}: GB/s", side.values("gigabytes_per_second", line=line), form="{:.0f}".format)
            figure(f"{name}: share of its bandwidth", side.values("share_of_roofline", line=line), **at_least(0.8))
            if kind == "adam":
                # One square root and one division an element, which IEEE arithmetic does not spare: where they take longer than the traffic, they are the limit.
                elements = int(first["work"].split()[1])
                shares = [elements / r / 1e9 / s for r, s in zip(side.values("roofline", "root_divisions", line=line), side.seconds(line))]
                figure(f"{name}: share of what its roots and divisions allow", shares, form=percent)


def avx2():
    """512 cubed with 256-bit vectors, against the peak measured with them"""
    # .NET 10 took the F from the name; older runtimes know the other. The device must say which vectors it has.
    ours = engine("gemm", "512x512x512", environment={"DOTNET_EnableAVX512": "0", "DOTNET_EnableAVX512F": "0"})
    interleave(ours)
    if any("Vector256" not in device for device in ours.values("device")):
        sys.exit(f"avx2: AVX-512 could not be switched off: {ours.values('device')[0]}")
    figure("sgemm 512x512x512, AVX2", ours.seconds(), form=unit)
    figure("sgemm 512x512x512, AVX2: share of its peak", ours.values("nominal_share_of_peak"), **at_least(0.85))


def cold():
    """time from starting a published `engine train` to the end of its first update, on a dataset of 99,500 rows in a file"""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([options.engine or BUILT, "datasets", "make", "pendulum", f"{folder}/pendulum.hdf5", "--rows", "99500"], check=True, stdout=subprocess.DEVNULL)
        for algorithm in ("td3-bc", "sac-n"):
            command = [str(options.engine or BUILT), "train", algorithm, "--dataset", "pendulum.hdf5", "--steps", "2", "--log-every", "1", "--json"]
            commands.append(" ".join(["engine", *command[1:]]))
            seconds = []
            for i in range(1 if options.quick else max(options.rounds, 5)):
                if options.drop_caches:
                    os.sync()
                    Path("/proc/sys/vm/drop_caches").write_text("3")
                start = time.perf_counter()
                with subprocess.Popen([*command, "--out", f"run-{algorithm}-{i}"], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
                    line = process.stdout.readline()
                    seconds.append(time.perf_counter() - start)
                    process.stdout.read()
                if not line.startswith("{") or json.loads(line).get("step") != 1 or process.returncode != 0:
                    sys.exit(f"cold: the first line was {line!r}, the exit code {process.returncode}")
            figure(f"engine train {algorithm}: first update after", seconds, **at_most(1.0))


def online():
    """SAC on Pendulum, hidden 3 x 32, batch 64: one step of the environment and one update, on one thread"""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(options.engine or BUILT), "train", "sac", "--env", "Pendulum-v1", "--set", "hidden_sizes=32,32,32", "--set", "batch_size=64", "--threads", "1",
                   "--steps", "30000", "--log-every", "10000", "--checkpoint-every", "30000", "--evaluate-every", "0", "--episodes", "1", "--json"]
        commands.append(" ".join(["engine", *command[1:]]))
        seconds = []
        for i in range(1 if options.quick else options.rounds):
            done = subprocess.run(["taskset", "-c", options.cpus.split(",")[0], *command, "--out", f"run-{i}"], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
            rates = [json.loads(line)["steps_per_second"] for line in done.stdout.splitlines() if '"steps_per_second"' in line]
            seconds.append(1 / statistics.median(rates[1:]))  # the first line has the start in it
        figure("an online SAC step", seconds, **at_most(60e-6))


# ---- entries of --device cuda ----

def gpu_update(algorithm, precision, limit=None, stretch=None, least=None, settings=(), peer=()):
    """peer: sizes for PyTorch and JAX; None: no peers."""
    if precision not in options.precisions.split(","):
        return
    if options.small:
        limit = stretch = least = None
        settings, peer = ["--set", "hidden_sizes=32,32,32", "--set", "batch_size=32", "--set", "critics=3"], peer if peer is None else ["--hidden", "32,32,32", "--batch", "32", "--critics", "3"]
    ours, peers = engine(algorithm, "--precision", precision, *settings, samples=400), [] if peer is None else gpu_peers(algorithm, precision, *peer)
    interleave(ours, *peers, least=2)
    name = " ".join([algorithm, precision, *[s for s in settings if s != "--set"]])
    figure(f"{name}: update", ours.seconds(), **(at_most(limit) if limit else {"form": unit}))
    if stretch:
        row(f"{name}: stretch", "", "", f"at most {unit(stretch)}", "yes" if statistics.median(ours.seconds()) <= stretch else "not yet")
    figure(f"{name}: nominal GFLOP/s", ours.values("nominal_gflops"), form="{:.0f}".format)
    figure(f"{name}: kernels", ours.values("kernels_run"), form="{:.0f}".format)
    figure(f"{name}: graph launches", ours.values("graph_launches"), target="1", reached=lambda v: v == 1, form="{:g}".format)
    figure(f"{name}: kernels launched by themselves, and waits of the host", [a + b for a, b in zip(ours.values("kernel_launches"), ours.values("host_waits"))], target="none", reached=lambda v: v == 0, form="{:g}".format)
    figure(f"{name}: states that differ between rounds", [len(set(ours.values("digest"))) - 1], target="none", reached=lambda v: v == 0)
    against(name, ours, peers, least=least)


def gpu_peers(algorithm, precision, *arguments):
    """PyTorch as --modes says, and JAX, one update a call and eight."""
    if options.ours:
        return []
    shared = [*arguments, "--device", "cuda", "--precision", precision, "--samples", 3 if options.quick else 400]
    command, sides = [options.python, PEERS / "pytorch.py", algorithm, *shared], []
    for mode in options.modes.split(","):
        if "compiled" in mode and algorithm == "edac":
            continue  # torch.compile does not differentiate twice
        flags = {"eager": [], "graph": ["--graph"], "compiled": ["--compile"], "compiled-graph": ["--compile", "--graph"]}[mode]
        sides.append(Side(f"PyTorch {mode}", [*command, *flags], environment=INDUCTOR if "--compile" in flags else {}))
    for together in (1, 8) if options.jax else ():
        sides.append(Side(f"JAX {together} a call", [options.jax, PEERS / "jax_updates.py", algorithm, *shared, "--together", together], environment=XLA))
    return sides


def gpu_gemm():
    """10 products at once, 256 to 10,000 rows x 256 x 256, in each precision, against PyTorch's torch.bmm"""
    shapes = ["3x64x32x32"] if options.small else [f"10x{rows}x256x256" for rows in (256, 1024, 4096, 10000)]
    for precision in options.precisions.split(","):
        ours = engine("gemm", *shapes, "--precision", precision, samples=200)
        peers = [] if options.ours else [Side("PyTorch", [options.python, PEERS / "pytorch.py", "gemm", *shapes, "--device", "cuda", "--precision", precision, "--samples", 3 if options.quick else 200])]
        interleave(ours, *peers)
        for line, shape in enumerate(shapes):
            name = f"gemm {precision} {shape}"
            figure(name, ours.seconds(line), form=unit)
            figure(f"{name}: TFLOP/s", [v / 1e3 for v in ours.values("nominal_gflops", line=line)], form="{:.1f}".format)
            for peer in (p for p in peers if p.rounds):
                figure(f"{name}: PyTorch by call", peer.values("seconds_by_call", line=line), form=unit)
                figure(f"{name}: PyTorch as a graph", peer.values("seconds_as_graph", line=line), form=unit)
                figure(f"{name}: PyTorch, each of twenty in a graph", peer.values("seconds_of_twenty", line=line), form=unit)
                figure(f"{name}: of the library's rate, call for call", ratio(peer.seconds(line), ours.seconds(line)), **at_least(0.7))


def gpu_sac_n():
    """update of SAC-N: N 10, batch 256, 17 observations, 6 actions, 3 x 256, in TF32 and float32"""
    gpu_update("sac-n", "tf32", limit=100e-6, least=2)
    gpu_update("sac-n", "float32", limit=200e-6, stretch=150e-6, least=2)


def gpu_edac():
    """update of EDAC, the same sizes, in TF32 and float32"""
    gpu_update("edac", "tf32", least=2)
    gpu_update("edac", "float32", least=2)


def gpu_large_batch():
    """update of SAC-N with LB-SAC's batch of 10,000, in TF32"""
    gpu_update("sac-n", "tf32", limit=1.3e-3, stretch=0.8e-3, least=1.5, settings=["--set", "batch_size=10000"], peer=["--batch", "10000"])


def gpu_members():
    """update of SAC-N with 500 critics, batch 256, in float32; without peers"""
    gpu_update("sac-n", "float32", limit=7e-3, settings=["--set", "critics=500"], peer=None)


# ---- entries of either device ----

def ilgpu():
    """the portable device beside this one, in float32: elementwise and fused work, sums of rows, products, an update of SAC-N, a launch"""
    gpu = options.device == "cuda"
    portable = options.ilgpu or ("ilgpu:cuda:0" if gpu else "ilgpu")
    found = devices()
    if "ilgpu" in found if portable == "ilgpu" else portable not in found:  # a line of that name says why there is none
        row(f"ilgpu: there is no {portable}; engine devices says why")
        return
    # Under PoCL as many threads as the other side has; the limits are times of that side.
    environment = {} if gpu else {"POCL_MAX_PTHREAD_COUNT": str(options.threads)}
    elementwise, rows_, products, whole = (1.5, None, 3, 5) if gpu else (4, 5, 8, 10)
    works = [(["add", "1024"], None), (["row-sum", "16x32"], None), (["gemm", "16x16x16"], None), (["bc", "--set", "hidden_sizes=16,16", "--set", "batch_size=16"], None)] if options.small else [
        (["add", "1048576"], elementwise), (["exp", "1048576"], elementwise), (["chain", "1048576"], elementwise), (["row-sum", "2560x256"], rows_),
        (["gemm", "256x256x256"], products), (["gemm", "10x256x256x256"], products), (["sac-n"], whole)]
    samples = 10
    for work, most in works:
        name = " ".join(w for w in work if w != "--set")
        ours, other = engine(*work, samples=samples), engine(*work, samples=samples, device=portable, label="ilgpu", environment=environment)
        interleave(ours, other)
        figure(f"{name}: {options.device}", ours.seconds(), form=unit)
        figure(f"{name}: {portable}", other.seconds(), form=unit)
        figure(f"{name}: {portable} takes", ratio(other.seconds(), ours.seconds()), **(at_most(most, times) if most else {"form": times}))
        figure(f"{name}: states of {portable} that differ between rounds", [len(set(other.values("digest"))) - 1], target="none", reached=lambda v: v == 0)
    launch = engine("add", "1", samples=samples, device=portable, label="ilgpu", environment=environment)
    interleave(launch)
    versions["ilgpu"] = launch.values("device")[0]
    figure(f"a launch on {portable}", launch.seconds(), **at_most(10e-6))
    figure(f"a launch on {portable}: bytes allocated", launch.values("allocated_bytes"), target="0", reached=lambda v: v == 0, form="{:.0f}".format)


class Clocks:
    """What nvidia-smi says of the GPU, once a second while the entries run."""

    QUERY = "clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu"

    def __init__(self):
        self.process, self.file = None, None
        if shutil.which("nvidia-smi"):
            self.file = tempfile.TemporaryFile("w+")
            self.process = subprocess.Popen(["nvidia-smi", "--id=0", f"--query-gpu={self.QUERY}", "--format=csv,noheader,nounits", "-l", "1"], stdout=self.file, stderr=subprocess.DEVNULL)

    @staticmethod
    def now():
        if not shutil.which("nvidia-smi"):
            return "no nvidia-smi: clocks unknown"
        done = subprocess.run(["nvidia-smi", "--id=0", f"--query-gpu={Clocks.QUERY}", "--format=csv,noheader"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return f"{Clocks.QUERY}: {done.stdout.strip()}"

    def stop(self):
        """The SM clock at work: least, median, most of the seconds in which the GPU was used."""
        if self.process is None:
            return "no nvidia-smi: clocks unknown"
        self.process.terminate()
        self.process.wait()
        self.file.seek(0)
        lines = [line.split(", ") for line in self.file.read().splitlines()]
        clocks = [float(line[0]) for line in lines if len(line) == 5 and line[0].isdigit() and line[4].strip().isdigit() and int(line[4]) > 0]
        return f"SM clock while in use, MHz: {min(clocks):.0f}, {statistics.median(clocks):.0f}, {max(clocks):.0f} (least, median, most of {len(clocks)} seconds)" if clocks else "the GPU was never seen in use"


ENTRIES = {f.__name__.replace("_", "-"): f for f in (gemm, sac_n, edac, large_batch, members, td3_bc, iql, threads, policy, elementwise, cold, online, avx2, ilgpu)}
GPU_ENTRIES = {f.__name__.removeprefix("gpu_").replace("_", "-"): f for f in (gpu_gemm, gpu_sac_n, gpu_edac, gpu_large_batch, gpu_members, ilgpu)}


# ---- the run ----

def has_openblas():
    return (PEERS / "out" / "openblas").exists()


def read(path, pattern, default="?"):
    found = re.search(pattern, Path(path).read_text())
    return found.group(1).strip() if found else default


def steal():
    """Seconds that the host of this virtual machine gave to others, all processors together."""
    return int(Path("/proc/stat").read_text().split("\n")[0].split()[8]) / os.sysconf("SC_CLK_TCK")


def devices():
    """What the program says of its devices, by name."""
    lines = subprocess.run([options.engine or BUILT, "devices", "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return {d["device"]: d for d in map(json.loads, lines)}


def machine():
    model, family, number = (read("/proc/cpuinfo", rf"^{re.escape(k)}\s*: (.*)$".replace("^", "(?m)^")) for k in ("model name", "cpu family", "model"))
    caches = ", ".join(f"L{level} {size}" for level, size in sorted({(Path(c, "level").read_text().strip(), Path(c, "size").read_text().strip()) for c in map(str, Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")) if Path(c, "type").read_text().strip() != "Instruction"}))
    name = re.sub("[^a-z0-9]+", "-", f"{model} {family}-{number} {os.cpu_count()}cpu".lower()).strip("-")
    description = f"{model}, family {family} model {number}, {os.cpu_count()} processors, {caches}, Linux {platform.release()}"
    if options.device == "cpu":
        return name, description
    gpu = devices()["cuda"]
    if "unavailable" in gpu:
        sys.exit(f"--device cuda: {gpu['unavailable']}")
    return re.sub("[^a-z0-9]+", "-", gpu["description"].lower()).strip("-"), f"{gpu['description']}, compute capability {gpu['compute_capability']}, {gpu['multiprocessors']} multiprocessors, {gpu['memory_bytes'] / 1e9:.0f} GB, driver for CUDA {gpu['driver_cuda_version']}; {description}"


def state():
    """What this machine can do now: one thread, or the GPU's clocks."""
    if options.device == "cuda":
        return Clocks.now()
    done = subprocess.run(["taskset", "-c", options.cpus.split(",")[0], options.engine or BUILT, "devices", "--json"], stdout=subprocess.PIPE, text=True, check=True)
    r = json.loads(done.stdout.splitlines()[0])["one_thread"]  # a line a device, the processor first
    levels = "; ".join(f"{l['name']} {l['read']:.0f} read, {l['write']:.0f} write, {l['copy']:.0f} copy, {l['update']:.0f} in place" for l in r["levels"])
    return f"one thread: {r['gflops']:.0f} GFLOP/s, {r['root_divisions']:.1f} G/s roots and divisions, GB/s: {levels}"


def commit():
    """Of the sources; of a carried kit what pack.sh wrote down."""
    if (ROOT / "COMMIT").exists():
        return (ROOT / "COMMIT").read_text().strip()

    def git(*arguments):
        return subprocess.run(["git", "-C", ROOT, *arguments], stdout=subprocess.PIPE, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" and changes" if git("status", "--porcelain", "--untracked-files=no") else "")


def main():
    global options
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help=f"{', '.join(ENTRIES)} or all; of --device cuda: {', '.join(GPU_ENTRIES)} or all")
    parser.add_argument("--list", action="store_true", help="what each entry is")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: the entries of a GPU")
    parser.add_argument("--rounds", type=int, help="how often the sides take turns (5; 3 on a GPU)")
    parser.add_argument("--quick", action="store_true", help="one round, few samples, no table written: to see that it runs")
    parser.add_argument("--small", action="store_true", help="cuda: tiny sizes, for the stand-in driver; with --quick")
    parser.add_argument("--ours", action="store_true", help="no peers")
    parser.add_argument("--threads", type=int, default=1, help="cpu: threads of either side (1); not of the entries threads, policy, elementwise, cold, online, avx2")
    parser.add_argument("--cpus", help="cpu: processors to pin to: the first alone, or as many as threads, the last for latency (the first two, or as many as threads)")
    parser.add_argument("--python", default=os.environ.get("PEER_PYTHON", "/usr/bin/python3"), help="the interpreter that has PyTorch")
    parser.add_argument("--compile", action="store_true", help="cpu: also PyTorch's compiled update (2.0 or newer)")
    parser.add_argument("--modes", default="eager,graph,compiled-graph", help="cuda: how PyTorch runs, of eager, graph, compiled (mode reduce-overhead), compiled-graph (%(default)s)")
    parser.add_argument("--precisions", default="float32,tf32,bfloat16", help="cuda: those that are asked for (%(default)s); updates are measured in float32 and tf32")
    parser.add_argument("--jax", help="an interpreter that has JAX: one more peer of sac-n and edac, and on a GPU of every update")
    parser.add_argument("--ilgpu", help="of ilgpu: which of its accelerators (cpu: the one that ilgpu chooses; cuda: ilgpu:cuda:0)")
    parser.add_argument("--openblas", default="libopenblas.so.0", help="the library")
    parser.add_argument("--drop-caches", action="store_true", help="cold: empty the page cache before each start (needs root)")
    parser.add_argument("--no-build", action="store_true", help="take perf/out/engine as it is")
    parser.add_argument("--engine", type=lambda p: Path(p).resolve(), help="this program, nothing is built")
    parser.add_argument("--limit", type=int, default=600, help="seconds that one process may take (600)")
    parser.add_argument("--results", type=Path, help="where the table is appended, and the raw figures (perf/results, raw: perf/out)")
    options = parser.parse_args()
    options.table = None  # the file that it is written to
    entries = ENTRIES if options.device == "cpu" else GPU_ENTRIES
    if options.list or not options.entries:
        for name, entry in entries.items():
            print(f"{name:12} {entry.__doc__}")
        return 0
    chosen = list(entries) if options.entries == ["all"] else options.entries
    unknown = [e for e in chosen if e not in entries]
    options.rounds = (5 if options.device == "cpu" else 3) if options.rounds is None else options.rounds
    if unknown or options.rounds < 1 or options.threads < 1:
        parser.error(f"{unknown[0]} is no entry; there are {', '.join(entries)}" if unknown else "--rounds, --threads: at least 1")
    if any(m not in ("eager", "graph", "compiled", "compiled-graph") for m in options.modes.split(",")):
        parser.error(f"--modes {options.modes}: expected some of eager, graph, compiled, compiled-graph")
    if any(p not in ("float32", "tf32", "bfloat16") for p in options.precisions.split(",")):
        parser.error(f"--precisions {options.precisions}: expected some of float32, tf32, bfloat16")
    if options.small and not options.quick:
        parser.error("--small is no measurement: with --quick")
    if options.cpus is None:
        options.cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:max(2, options.threads)]))
    if options.device == "cpu" and len(options.cpus.split(",")) < options.threads:
        parser.error(f"--threads {options.threads}: there are only the processors {options.cpus}")
    if options.device == "cpu" and not shutil.which("taskset"):
        parser.error("taskset is missing (util-linux)")
    if options.device == "cpu" and not options.ours and not has_openblas() and not options.engine:
        parser.error("perf/peers/setup.sh first, or --ours")
    if options.engine and not options.engine.exists():
        parser.error(f"--engine {options.engine}: no such file")
    if not options.no_build and not options.engine:
        subprocess.run(["dotnet", "publish", ROOT / "algorithms" / "Engine.Cli", "-c", "Release", "-o", BUILT.parent, "-v", "q", "--nologo"], check=True, stdout=subprocess.DEVNULL)

    name, description = machine()
    before = state()
    print(before)
    began, load, stolen = datetime.datetime.now(), os.getloadavg(), steal()
    if load[0] > 0.3:
        print(f"the load is {load[0]:.1f}: others are at work, and the figures will show it")
    path = (options.results or PERF / "results") / f"{began:%Y-%m-%d}-{name}.md"
    if not options.quick:
        path.parent.mkdir(parents=True, exist_ok=True)
        options.table = path
        if not path.exists():
            write(f"# Measured on {began:%Y-%m-%d}\n\n{paragraph(description + '.')}\n")
    write(f"\n## {began:%H:%M}: `perf/compare.py {' '.join(sys.argv[1:])}`\n\n{paragraph(f'Commit {commit()}; {options.rounds} rounds. Before: {before}.')}\n\n| figure | median | least and most of the rounds | must be | reached |\n|---|---|---|---|---|\n")
    clocks = Clocks() if options.device == "cuda" else None
    for entry in chosen:
        print(f"{entry}: {entries[entry].__doc__}", flush=True)
        rows.append([f"**{entry}**", "", "", "", ""])
        write(f"| **{entry}** | | | | |\n")
        entries[entry]()
    missed = [cells[0] for cells in rows if cells[4] == "NO"]
    print(f"{sum(cells[4] == 'yes' for cells in rows)} figures reached, {len(missed)} not{': ' + '; '.join(missed) if missed else ''}")
    if failed:
        print(f"peers that failed: {', '.join(dict.fromkeys(failed))}")
    used = "" if clocks is None else clocks.stop() + ". "
    if used:
        print(used)
    after = (f"After: {state()}. {used}Load {load[0]:.2f} before and {os.getloadavg()[0]:.2f} after (one process of our own makes 1), {steal() - stolen:.1f} s taken by the host. "
             f"{'; '.join(f'{k}: {v}' for k, v in sorted(versions.items()))}")
    write(f"\n{paragraph(after)}\n\n```\n" + "\n".join(commands) + "\n```\n")
    if not options.quick:
        print(f"appended to {path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
