"""Times one update of SAC-N, EDAC, TD3+BC or IQL in PyTorch, in the form of CORL's single-file implementations; or matrix products.

Layers, losses, optimisers, target networks and their order are CORL's; left out is what it computes for its log alone (a forward on random actions, standard deviations, .item()).
The batch is given, as in `engine bench`. One JSON object a piece of work is printed. PyTorch 1.13 or newer; --compile and --device cuda need 2.0.

On a GPU a sample is as many updates as take 2 ms, the device waited for before and after; distributions do not check their arguments, which would be a wait in every update. --graph captures the whole update
(backward passes, optimisers, targets) as one CUDA graph, with --compile of what torch.compile has made of it: nothing of Python is left in an update then.
"""
import argparse
import contextlib
import copy
import json
import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Normal


class EnsembleLinear(nn.Module):
    def __init__(self, inputs, outputs, members):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x):
        return x @ self.weight + self.bias


def mlp(sizes, last=None, layer=nn.Linear):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(layer(a, b))
        if i + 2 < len(sizes):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers, *([last] if last else []))


class EnsembleCritic(nn.Module):
    def __init__(self, s, a, hidden, members):
        super().__init__()
        self.members = members
        self.net = mlp([s + a, *hidden, 1], layer=lambda i, o: EnsembleLinear(i, o, members))

    def forward(self, state, action):
        x = torch.cat([state, action], dim=-1)
        if x.dim() != 3:
            x = x.unsqueeze(0).repeat_interleave(self.members, dim=0)
        return self.net(x).squeeze(-1)


class TanhGaussianActor(nn.Module):
    def __init__(self, s, a, hidden):
        super().__init__()
        self.trunk = nn.Sequential(*mlp([s, *hidden]), nn.ReLU())
        self.mu, self.log_sigma = nn.Linear(hidden[-1], a), nn.Linear(hidden[-1], a)

    def forward(self, state):
        h = self.trunk(state)
        mu, log_sigma = self.mu(h), self.log_sigma(h)
        policy = Normal(mu, torch.exp(torch.clip(log_sigma, -5, 2)))
        raw = policy.rsample()
        action = torch.tanh(raw)
        log_prob = policy.log_prob(raw).sum(-1) - torch.log(1 - action.pow(2) + 1e-6).sum(-1)
        return action, log_prob


adam_options = {}  # of a graph: step counts on the device, and one kernel for all parameters where the compiler does not make it


def adam(parameters):
    return torch.optim.Adam(parameters, lr=3e-4, **adam_options)


def step(optimiser, loss):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def soft_update(target, source, rate=0.005):
    if adam_options:  # all parameters in one kernel
        return torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), rate)
    for t, p in zip(target.parameters(), source.parameters()):
        t.data.copy_((1 - rate) * t.data + rate * p.data)


class SacN:
    diversity = None

    def __init__(self, s, a, hidden, members):
        self.actor, self.critic = TanhGaussianActor(s, a, hidden), EnsembleCritic(s, a, hidden, members)
        self.target = copy.deepcopy(self.critic)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.alpha, self.target_entropy = self.log_alpha.exp().detach(), -float(a)
        self.actor_adam, self.critic_adam, self.alpha_adam = adam(self.actor.parameters()), adam(self.critic.parameters()), adam([self.log_alpha])

    def update(self, state, action, reward, next_state, done):
        with torch.no_grad():
            _, log_prob = self.actor(state)
        step(self.alpha_adam, (-self.log_alpha * (log_prob + self.target_entropy)).mean())
        self.alpha = self.log_alpha.exp().detach()

        pi, log_prob = self.actor(state)
        step(self.actor_adam, (self.alpha * log_prob - self.critic(state, pi).min(0).values).mean())

        with torch.no_grad():
            next_action, next_log_prob = self.actor(next_state)
            q_next = self.target(next_state, next_action).min(0).values - self.alpha * next_log_prob
            q_target = reward + 0.99 * (1 - done) * q_next
        loss = (self.critic(state, action) - q_target.view(1, -1)).pow(2).mean(dim=1).sum(dim=0)
        if self.diversity is not None:
            loss = loss + self.diversity * self.diversity_loss(state, action)
        step(self.critic_adam, loss)
        with torch.no_grad():
            soft_update(self.target, self.critic)


class Edac(SacN):
    diversity = 1.0

    def diversity_loss(self, state, action):
        n = self.critic.members
        state = state.unsqueeze(0).repeat_interleave(n, dim=0)
        action = action.unsqueeze(0).repeat_interleave(n, dim=0).requires_grad_(True)
        q = self.critic(state, action)
        g = torch.autograd.grad(q.sum(), action, retain_graph=True, create_graph=True)[0]
        g = (g / (torch.norm(g, p=2, dim=2).unsqueeze(-1) + 1e-10)).transpose(0, 1)
        others = 1 - torch.eye(n, device=g.device).unsqueeze(0).repeat(g.shape[0], 1, 1)
        return (others * (g @ g.permute(0, 2, 1))).sum(dim=(1, 2)).mean() / (n - 1)


class Td3Bc:
    cycle = 20  # the policy moves every second update: a sample is several

    def __init__(self, s, a, hidden, members):
        self.actor = mlp([s, *hidden, a], nn.Tanh())
        self.critics = [mlp([s + a, *hidden, 1]) for _ in range(2)]
        self.actor_target, self.critic_targets = copy.deepcopy(self.actor), copy.deepcopy(self.critics)
        self.actor_adam, self.critic_adams = adam(self.actor.parameters()), [adam(c.parameters()) for c in self.critics]
        self.count = 0

    def update(self, state, action, reward, next_state, done):
        self.count += 1
        with torch.no_grad():
            noise = (torch.randn_like(action) * 0.2).clamp(-0.5, 0.5)
            x = torch.cat([next_state, (self.actor_target(next_state) + noise).clamp(-1, 1)], 1)
            q_target = reward.unsqueeze(1) + 0.99 * (1 - done.unsqueeze(1)) * torch.min(*[t(x) for t in self.critic_targets])
        x = torch.cat([state, action], 1)
        loss = sum(F.mse_loss(c(x), q_target) for c in self.critics)
        for optimiser in self.critic_adams:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in self.critic_adams:
            optimiser.step()
        if self.count % 2:
            return
        pi = self.actor(state)
        q = self.critics[0](torch.cat([state, pi], 1))
        step(self.actor_adam, -(2.5 / q.abs().mean().detach()) * q.mean() + F.mse_loss(pi, action))
        for t, c in zip(self.critic_targets, self.critics):
            soft_update(t, c)
        soft_update(self.actor_target, self.actor)


class Iql:
    def __init__(self, s, a, hidden, members):
        self.actor, self.log_std = mlp([s, *hidden, a], nn.Tanh()), nn.Parameter(torch.zeros(a))
        self.critics = nn.ModuleList([mlp([s + a, *hidden, 1]) for _ in range(2)])
        self.targets, self.value = copy.deepcopy(self.critics), mlp([s, *hidden, 1])
        self.actor_adam, self.critic_adam, self.value_adam = adam([*self.actor.parameters(), self.log_std]), adam(self.critics.parameters()), adam(self.value.parameters())
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.actor_adam, 1_000_000)

    def update(self, state, action, reward, next_state, done):
        x = torch.cat([state, action], 1)
        with torch.no_grad():
            next_value = self.value(next_state).squeeze(-1)
            q = torch.min(*[t(x) for t in self.targets]).squeeze(-1)
        advantage = q - self.value(state).squeeze(-1)
        step(self.value_adam, torch.mean(torch.abs(0.7 - (advantage < 0).float()) * advantage ** 2))

        q_target = reward + (1 - done) * 0.99 * next_value.detach()
        step(self.critic_adam, sum(F.mse_loss(c(x).squeeze(-1), q_target) for c in self.critics) / 2)
        soft_update(self.targets, self.critics)

        weight = torch.exp(3.0 * advantage.detach()).clamp(max=100)
        policy = Normal(self.actor(state), torch.exp(self.log_std.clamp(-20, 2)))
        step(self.actor_adam, torch.mean(weight * -policy.log_prob(action).sum(-1)))
        self.schedule.step()


ALGORITHMS = {"sac-n": SacN, "edac": Edac, "td3-bc": Td3Bc, "iql": Iql}


def peak_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


class Clock:
    """Seconds a call: the device is waited for before and after."""

    def __init__(self, device):
        self.wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def sample(self, run, calls):
        self.wait()
        start = time.perf_counter()
        for _ in range(calls):
            run()
        self.wait()
        return (time.perf_counter() - start) / calls

    def median(self, run, samples, least=0.002):
        """The sorted samples, each of as many calls as take 2 ms, and at least one second of them before on a GPU, whose clock rises with work."""
        calls = 1
        while self.sample(run, calls) * calls < least and calls < 1 << 20:
            calls *= 2
        if self.wait is torch.cuda.synchronize:
            self.sample(run, max(1, int(1 / self.sample(run, calls))))
        return sorted(self.sample(run, calls) for _ in range(samples))


def captured(run, warmup=5, calls=1):
    """The work of some calls as a CUDA graph; replaying it does them again on the same memory."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(warmup):
            run()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            run()
    return graph.replay


def report(work, times, version, **more):
    n = len(times)
    print(json.dumps({"work": work, "seconds": times[n // 2], "seconds_10": times[n // 10], "seconds_90": times[min(n - 1, n * 9 // 10)], "samples": n, "peak_memory_bytes": peak_memory(), "version": version, **more}), flush=True)


def products(options, clock):
    """Matrix products MxKxN or BxMxKxN: on a GPU call by call, as graphs of one, and twenty in a graph, where nothing lies between them."""
    dtype = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    for shape in options.shapes:
        *batch, m, k, n = (int(d) for d in shape.split("x"))
        a, b = ((torch.rand(*batch, *s, device=options.device) * 2 - 1).to(dtype) for s in ((m, k), (k, n)))
        out = torch.empty(*batch, m, n, device=options.device, dtype=dtype)
        multiply = torch.bmm if batch else torch.mm
        run = lambda: multiply(a, b, out=out)  # noqa: B023 (used here alone)
        times, more = clock.median(run, options.samples), {}
        if options.device == "cuda":
            graph, many = clock.median(captured(run), options.samples), clock.median(captured(run, calls=20), options.samples)
            more = {"seconds_by_call": times[len(times) // 2], "seconds_as_graph": graph[len(graph) // 2], "seconds_of_twenty": many[len(many) // 2] / 20}
            times = min(times, graph, key=lambda t: t[len(t) // 2])
        report(f"gemm {shape}", times, f"PyTorch {torch.__version__}", **more)


def updates(options, clock, parser):
    cuda = options.device == "cuda"
    hidden = [int(h) for h in (options.hidden or ("256,256,256" if options.algorithm in ("sac-n", "edac") else "256,256")).split(",")]
    if options.graph:
        if options.algorithm not in ("sac-n", "edac"):
            parser.error("--graph: sac-n and edac; the others change from update to update what they do")
        adam_options.update(capturable=True, fused=not options.compile)
    b, s, a = options.batch, options.observations, options.actions

    def uniform(*shape):
        return torch.rand(*shape) * 2 - 1

    with torch.device("cuda") if cuda else contextlib.nullcontext():
        model = ALGORITHMS[options.algorithm](s, a, hidden, options.critics)
        batch = uniform(b, s), uniform(b, a), uniform(b), uniform(b, s), torch.zeros(b)
    update = model.update
    if options.compile:
        if not hasattr(torch, "compile"):
            parser.error(f"PyTorch {torch.__version__} has no torch.compile")
        if options.algorithm == "edac":
            parser.error("torch.compile does not differentiate twice")
        update = torch.compile(update, mode="reduce-overhead") if cuda and not options.graph else torch.compile(update)
    run = lambda: update(*batch)  # noqa: E731
    if options.compile and cuda and not options.graph:
        run = lambda: (torch.compiler.cudagraph_mark_step_begin(), update(*batch))  # noqa: E731
    if options.graph:
        run = captured(run, warmup=max(5, options.warmup))
    cycle = getattr(model, "cycle", 1)
    watched = next(model.actor.parameters())
    clock.sample(run, max(options.warmup, cycle))
    before = watched.detach().clone()
    times = clock.median(run, options.samples) if cuda else sorted(clock.sample(run, cycle) for _ in range(options.samples))
    if not torch.isfinite(watched).all() or torch.equal(before, watched):
        raise SystemExit("the update left the policy as it was, or made it infinite")
    how = "".join([" compiled" if options.compile else "", " as a CUDA graph" if options.graph else ""])
    memory = {"device_memory_bytes": torch.cuda.max_memory_reserved()} if cuda else {}
    report(f"{options.algorithm}, batch {b}, {s} observations, {a} actions, hidden {'-'.join(map(str, hidden))}", times, f"PyTorch {torch.__version__}{how}", **memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("algorithm", choices=[*ALGORITHMS, "gemm"])
    parser.add_argument("shapes", nargs="*", help="of gemm: MxKxN or BxMxKxN")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--critics", type=int, default=10, help="of sac-n and edac")
    parser.add_argument("--hidden", help="default 256,256,256 for sac-n and edac, else 256,256")
    parser.add_argument("--observations", type=int, default=17)
    parser.add_argument("--actions", type=int, default=6)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5, help="updates before timing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "tf32", "bfloat16"], default="float32", help="of matrix products; tf32: cuda alone; bfloat16: gemm on cuda alone, operands and result")
    parser.add_argument("--compile", action="store_true", help="torch.compile the update (on a GPU without --graph: mode reduce-overhead); not for edac, which differentiates twice")
    parser.add_argument("--graph", action="store_true", help="cuda: the whole update captured as one CUDA graph; sac-n and edac")
    options = parser.parse_args()
    if options.device == "cuda":
        if not torch.cuda.is_available():
            parser.error(f"PyTorch {torch.__version__} sees no GPU")
        if not hasattr(torch, "compile"):
            parser.error(f"PyTorch {torch.__version__}: --device cuda needs 2.0")
        torch.distributions.Distribution.set_default_validate_args(False)
    elif options.precision != "float32" or options.graph:
        parser.error("--precision and --graph: with --device cuda")
    if options.precision == "bfloat16" and options.algorithm != "gemm":
        parser.error("--precision bfloat16: gemm alone")
    if bool(options.shapes) != (options.algorithm == "gemm"):
        parser.error("shapes are for gemm, which needs them")
    torch.set_float32_matmul_precision("high" if options.precision == "tf32" else "highest")  # high: TF32 on a GPU
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    clock = Clock(options.device)
    if options.algorithm == "gemm":
        products(options, clock)
    else:
        updates(options, clock, parser)


if __name__ == "__main__":
    main()
