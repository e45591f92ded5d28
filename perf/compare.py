#!/usr/bin/env python3
"""Measures what Engine must reach (the entries below), beside its peers: in every round each side runs once, in a process of its own, pinned to the same processors.

  perf/compare.py gemm policy            those entries; `all` is every one; --list says what each is
  perf/compare.py sac-n --quick          one round of a few samples: does it run?
  perf/compare.py all --ours             without peers

A figure is the median over rounds of what a side printed (itself a median), with the least and the most; a ratio is taken round by round. The table is printed, and appended to
perf/results/DATE-MACHINE.md with the machine, the commands and the load. perf/peers/setup.sh comes first.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PERF = Path(__file__).resolve().parent
ROOT = PERF.parent
ENGINE = PERF / "out" / "engine" / "engine"
PEERS = PERF / "peers"
CORES = {"": "unset", "SkylakeX": "SkylakeX"}  # OPENBLAS_CORETYPE: the faster of the two is the peer

options = None
commands = []  # as they could be typed, for the results
versions = {}


class Side:
    """A command that prints JSON lines, run once a round."""

    def __init__(self, label, command, cpus=1, environment=None, repeat=None):
        self.label, self.command, self.environment, self.repeat = label, [str(c) for c in command], environment or {}, repeat
        self.cpus = options.cpus.split(",")[:cpus] if cpus > 0 else options.cpus.split(",")[cpus:]
        self.rounds = []

    def run(self):
        environment = {k: v for k, v in os.environ.items() if not re.match("OPENBLAS|GOTO|OMP_|MKL_|XLA_|ENGINE_", k)}
        environment.update(OMP_NUM_THREADS=str(len(self.cpus)), OPENBLAS_NUM_THREADS=str(len(self.cpus)), **self.environment)
        shown = [os.path.relpath(c, ROOT) if c.startswith(str(ROOT)) else c for c in self.command]
        typed = " ".join([f"{k}={v}" for k, v in self.environment.items()] + ["taskset", "-c", ",".join(self.cpus)] + shown)
        if typed not in commands:
            commands.append(typed)
        done = subprocess.run(["taskset", "-c", ",".join(self.cpus), *self.command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        if done.returncode != 0:
            sys.exit(f"{typed}\nexited with {done.returncode}: {done.stderr.strip()}")
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for line in lines:
            if "version" in line:
                versions[self.label] = line["version"]
        self.rounds.append(lines)
        with open(PERF / "out" / "compare.jsonl", "a") as raw:
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


def engine(*arguments, label="engine", samples=40, **more):
    return Side(label, [ENGINE, "bench", *arguments, "--json", "--rounds", 3 if options.quick else samples], **more)


def pytorch(algorithm, *arguments, samples=40, warmup=5):
    """PyTorch with either core type of OpenBLAS, compiled too if asked for, and JAX if there is one."""
    if options.ours:
        return []
    shared = [algorithm, *arguments, "--samples", 3 if options.quick else samples, "--warmup", 2 if options.quick else warmup]
    command = [options.python, PEERS / "pytorch.py", *shared]
    sides = [Side(f"PyTorch ({name})", command, environment={"OPENBLAS_CORETYPE": core} if core else {}) for core, name in CORES.items()]
    if options.compile and algorithm != "edac":
        sides.append(Side("PyTorch (compiled)", [*command, "--compile"]))
    if options.jax and algorithm in ("sac-n", "edac"):
        sides.append(Side("JAX", [options.jax, PEERS / "jax_updates.py", *shared]))
    return sides


def interleave(*sides, rounds=None):
    for i in range(1 if options.quick else rounds or options.rounds):
        for side in sides if i % 2 == 0 else reversed(sides):
            side.run()


# ---- figures ----

rows = []


def unit(seconds):
    return f"{seconds * 1e6:.2f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.3f} s"


def figure(what, values, target=None, reached=None, form=str):
    middle = statistics.median(values)
    verdict = "" if reached is None else "yes" if reached(middle) else "NO"
    row = (what, form(middle), f"[{form(min(values))}, {form(max(values))}]", target or "", verdict)
    rows.append(row)
    print("  " + "  ".join(cell for cell in row if cell), flush=True)


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
    for peer in peers:
        figure(f"{what}: {peer.label}", peer.seconds(line), form=unit)
    if peers:
        best = faster(peers, line)
        figure(f"{what}: {best.label} takes", ratio(best.seconds(line), ours.seconds(line)), target=f"more than {times(least)}" if least == 1 else f"at least {times(least)}", reached=lambda v: v > least, form=times)


# ---- entries: a line of the table each ----

def gemm():
    """sgemm of cubes and of an update's shapes against the multiply-add peak and OpenBLAS"""
    shapes = [("256x256x256", 0.90), ("512x512x512", 0.95), ("1024x1024x1024", 0.95), ("256x23x256", None), ("256x256x1", None), ("10x256x256x256", 0.90)]
    ours = engine("gemm", *[s for s, _ in shapes])
    peers = [] if options.ours else [
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
        if peers:
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
        one, two = engine(algorithm, "--threads", 1, label="one thread"), engine(algorithm, "--threads", 2, cpus=2, label="two threads")
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
        subprocess.run([ENGINE, "datasets", "make", "pendulum", f"{folder}/pendulum.hdf5", "--rows", "99500"], check=True, stdout=subprocess.DEVNULL)
        for algorithm in ("td3-bc", "sac-n"):
            command = [str(ENGINE), "train", algorithm, "--dataset", "pendulum.hdf5", "--steps", "2", "--log-every", "1", "--json"]
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


ENTRIES = {f.__name__.replace("_", "-"): f for f in (gemm, sac_n, edac, large_batch, members, td3_bc, iql, threads, policy, elementwise, cold, avx2)}


# ---- the run ----

def read(path, pattern, default="?"):
    found = re.search(pattern, Path(path).read_text())
    return found.group(1).strip() if found else default


def steal():
    """Seconds that the host of this virtual machine gave to others, all processors together."""
    return int(Path("/proc/stat").read_text().split("\n")[0].split()[8]) / os.sysconf("SC_CLK_TCK")


def machine():
    model, family, number = (read("/proc/cpuinfo", rf"^{re.escape(k)}\s*: (.*)$".replace("^", "(?m)^")) for k in ("model name", "cpu family", "model"))
    caches = ", ".join(f"L{level} {size}" for level, size in sorted({(Path(c, "level").read_text().strip(), Path(c, "size").read_text().strip()) for c in map(str, Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")) if Path(c, "type").read_text().strip() != "Instruction"}))
    name = re.sub("[^a-z0-9]+", "-", f"{model} {family}-{number} {os.cpu_count()}cpu".lower()).strip("-")
    return name, f"{model}, family {family} model {number}, {os.cpu_count()} processors, {caches}, Linux {platform.release()}"


def roofline():
    """What this machine can do now, one thread."""
    done = subprocess.run(["taskset", "-c", options.cpus.split(",")[0], ENGINE, "devices", "--json"], stdout=subprocess.PIPE, text=True, check=True)
    r = json.loads(done.stdout.splitlines()[0])["one_thread"]  # a line a device, the processor first
    levels = "; ".join(f"{l['name']} {l['read']:.0f} read, {l['write']:.0f} write, {l['copy']:.0f} copy, {l['update']:.0f} in place" for l in r["levels"])
    return f"{r['gflops']:.0f} GFLOP/s, {r['root_divisions']:.1f} G/s roots and divisions, GB/s: {levels}"


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], stdout=subprocess.PIPE, text=True).stdout.strip()


def main():
    global options
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help=f"{', '.join(ENTRIES)} or all")
    parser.add_argument("--list", action="store_true", help="what each entry is")
    parser.add_argument("--rounds", type=int, default=5, help="how often the sides take turns (5)")
    parser.add_argument("--quick", action="store_true", help="one round, few samples, nothing written: to see that it runs")
    parser.add_argument("--ours", action="store_true", help="no peers")
    parser.add_argument("--cpus", default="0,1", help="processors to pin to: the first alone, the first two for two threads, the last for latency (0,1)")
    parser.add_argument("--python", default=os.environ.get("PEER_PYTHON", "/usr/bin/python3"), help="the interpreter that has PyTorch")
    parser.add_argument("--compile", action="store_true", help="also PyTorch's compiled update (2.0 or newer)")
    parser.add_argument("--jax", help="an interpreter that has JAX: one more peer of sac-n and edac")
    parser.add_argument("--openblas", default="libopenblas.so.0", help="the library")
    parser.add_argument("--drop-caches", action="store_true", help="cold: empty the page cache before each start (needs root)")
    parser.add_argument("--no-build", action="store_true", help="take perf/out/engine as it is")
    parser.add_argument("--results", type=Path, default=PERF / "results", help="where the table is appended")
    options = parser.parse_args()
    if options.list or not options.entries:
        for name, entry in ENTRIES.items():
            print(f"{name:12} {entry.__doc__}")
        return 0
    chosen = list(ENTRIES) if options.entries == ["all"] else options.entries
    unknown = [e for e in chosen if e not in ENTRIES]
    if unknown or options.rounds < 1:
        parser.error(f"{unknown[0]} is no entry; there are {', '.join(ENTRIES)}" if unknown else "--rounds: at least 1")
    if not shutil.which("taskset"):
        parser.error("taskset is missing (util-linux)")
    if not options.ours and not (PEERS / "out" / "openblas").exists():
        parser.error("perf/peers/setup.sh first, or --ours")
    if not options.no_build:
        subprocess.run(["dotnet", "publish", ROOT / "algorithms" / "Engine.Cli", "-c", "Release", "-o", ENGINE.parent, "-v", "q", "--nologo"], check=True, stdout=subprocess.DEVNULL)

    name, description = machine()
    before = roofline()
    print(f"one thread: {before}")
    began, load, stolen = datetime.datetime.now(), os.getloadavg(), steal()
    if load[0] > 0.3:
        print(f"the load is {load[0]:.1f}: others are at work, and the figures will show it")
    for entry in chosen:
        print(f"{entry}: {ENTRIES[entry].__doc__}", flush=True)
        rows.append((f"**{entry}**", "", "", "", ""))
        ENTRIES[entry]()
    missed = [row[0] for row in rows if row[4] == "NO"]
    print(f"{sum(row[4] == 'yes' for row in rows)} figures reached, {len(missed)} not{': ' + '; '.join(missed) if missed else ''}")
    if options.quick:
        return 0

    options.results.mkdir(exist_ok=True)
    path = options.results / f"{began:%Y-%m-%d}-{name}.md"
    with open(path, "a") as out:
        if out.tell() == 0:
            out.write(f"# Measured on {began:%Y-%m-%d}\n\n{description}.\n")
        out.write(f"\n## {began:%H:%M}: `perf/compare.py {' '.join(sys.argv[1:])}`\n\n")
        out.write(f"Commit {git('rev-parse', '--short', 'HEAD')}{' and changes' if git('status', '--porcelain', '--untracked-files=no') else ''}; {options.rounds} rounds. Load {load[0]:.2f} before and {os.getloadavg()[0]:.2f} after (one process of our own makes 1), "
                  f"{steal() - stolen:.1f} s taken by the host. {'; '.join(f'{k}: {v}' for k, v in sorted(versions.items()))}\n\n")
        out.write(f"One thread before: {before}.\n\nAfter: {roofline()}.\n\n")
        out.write("| figure | median | least and most of the rounds | must be | reached |\n|---|---|---|---|---|\n")
        for row in rows:
            out.write("| " + " | ".join(row) + " |\n")
        out.write("\n```\n" + "\n".join(commands) + "\n```\n")
    print(f"appended to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
