"""Times one update of SAC-N or EDAC in JAX: the same work as pytorch.py, the whole update one compiled function whose state is donated.

One JSON object is printed. Not run by default: `perf/compare.py sac-n --jax PYTHON` names an interpreter that has JAX (`pip install jax`). On a GPU a sample is as many calls as take 2 ms, waited for at their end.
--together makes one compiled function of several updates (jax.lax.scan), as JAX-CORL does: Python is left once for all of them.
"""
import argparse
import json
import os
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("algorithm", choices=["sac-n", "edac"])
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--critics", type=int, default=10)
parser.add_argument("--hidden", default="256,256,256")
parser.add_argument("--observations", type=int, default=17)
parser.add_argument("--actions", type=int, default=6)
parser.add_argument("--samples", type=int, default=40)
parser.add_argument("--warmup", type=int, default=5, help="calls before timing")
parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
parser.add_argument("--precision", choices=["float32", "tf32"], default="float32", help="of matrix products; tf32: cuda alone")
parser.add_argument("--together", type=int, default=1, help="updates in a call")
options = parser.parse_args()
if options.device == "cpu":
    if options.precision != "float32":
        parser.error("--precision: with --device cuda")
    os.environ["JAX_PLATFORMS"] = "cpu"  # before it is imported

import jax
import jax.numpy as jnp

tree_map = jax.tree_util.tree_map


def network(key, sizes, members=()):
    """Weights and biases, of an ensemble with the members in front."""
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        key, k = jax.random.split(key)
        bound = inputs ** -0.5
        layers.append((jax.random.uniform(k, (*members, inputs, outputs), minval=-bound, maxval=bound), jnp.zeros((*members, 1, outputs))))
    return layers


def forward(layers, x):
    for w, b in layers[:-1]:
        x = jax.nn.relu(x @ w + b)
    return x @ layers[-1][0] + layers[-1][1]


def actor(layers, state, key):
    mu, log_sigma = jnp.split(forward(layers, state), 2, axis=-1)  # both heads are one layer
    log_sigma = jnp.clip(log_sigma, -5, 2)
    noise = jax.random.normal(key, mu.shape)
    action = jnp.tanh(mu + jnp.exp(log_sigma) * noise)
    log_prob = (-0.5 * noise ** 2 - log_sigma - 0.9189385332046727).sum(-1) - jnp.log(1 - action ** 2 + 1e-6).sum(-1)
    return action, log_prob


def critic(layers, state, action):
    return forward(layers, jnp.concatenate([state, action], -1))[..., 0]


def diversity_loss(layers, state, action):
    n = layers[0][0].shape[0]
    actions = jnp.broadcast_to(action, (n, *action.shape))
    states = jnp.broadcast_to(state, (n, *state.shape))
    g = jax.grad(lambda a: critic(layers, states, a).sum())(actions)
    g = g / (jnp.sqrt((g ** 2).sum(-1, keepdims=True)) + 1e-10)
    pairs = jnp.einsum("nba,mba->bnm", g, g) * (1 - jnp.eye(n))
    return pairs.sum((1, 2)).mean() / (n - 1)


def adam(parameters, gradient, moments):
    first, second, t = moments
    t = t + 1
    first = tree_map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = tree_map(lambda v, g: 0.999 * v + 0.001 * g ** 2, second, gradient)
    rate, correction = 3e-4 / (1 - 0.9 ** t), 1 / jnp.sqrt(1 - 0.999 ** t)
    parameters = tree_map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * correction + 1e-8), parameters, first, second)
    return parameters, (first, second, t)


def moments(parameters):
    return tree_map(jnp.zeros_like, parameters), tree_map(jnp.zeros_like, parameters), jnp.zeros(())


def make_update(eta, together):
    def update(s, batch):
        state, action, reward, next_state, done = batch
        key, k1, k2, k3 = jax.random.split(s["key"], 4)
        entropy = -float(action.shape[-1])

        _, log_prob = actor(s["actor"], state, k1)
        gradient = jax.grad(lambda a: (-a * (log_prob + entropy)).mean())(s["log_alpha"])
        log_alpha, log_alpha_adam = adam(s["log_alpha"], gradient, s["log_alpha_adam"])
        alpha = jnp.exp(log_alpha)

        def actor_loss(layers):
            pi, log_prob = actor(layers, state, k2)
            return (alpha * log_prob - critic(s["critic"], state, pi).min(0)).mean()

        new_actor, actor_adam = adam(s["actor"], jax.grad(actor_loss)(s["actor"]), s["actor_adam"])

        next_action, next_log_prob = actor(new_actor, next_state, k3)
        q_next = critic(s["target"], next_state, next_action).min(0) - alpha * next_log_prob
        q_target = reward + 0.99 * (1 - done) * q_next

        def critic_loss(layers):
            loss = ((critic(layers, state, action) - q_target) ** 2).mean(1).sum()
            return loss + eta * diversity_loss(layers, state, action) if eta else loss

        new_critic, critic_adam = adam(s["critic"], jax.grad(critic_loss)(s["critic"]), s["critic_adam"])
        target = tree_map(lambda t, p: 0.995 * t + 0.005 * p, s["target"], new_critic)
        return {"key": key, "actor": new_actor, "actor_adam": actor_adam, "critic": new_critic, "critic_adam": critic_adam, "target": target, "log_alpha": log_alpha, "log_alpha_adam": log_alpha_adam}

    several = lambda s, batch: jax.lax.scan(lambda s, _: (update(s, batch), None), s, None, length=together)[0]  # noqa: E731
    return jax.jit(update if together == 1 else several, donate_argnums=0)


def peak_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def main():
    if options.device == "cuda" and jax.devices()[0].platform not in ("gpu", "cuda"):
        parser.error(f"JAX {jax.__version__} sees no GPU: {jax.devices()}")
    # TF32 is what a GPU multiplies in by default. What JAX calls tensorfloat32 ("high") is float32 to the products that XLA fuses with others.
    if options.precision != "tf32":
        jax.config.update("jax_default_matmul_precision", "float32")
    b, s, a, hidden = options.batch, options.observations, options.actions, [int(h) for h in options.hidden.split(",")]
    keys = jax.random.split(jax.random.PRNGKey(0), 8)
    critics = network(keys[0], [s + a, *hidden, 1], (options.critics,))
    policy, log_alpha = network(keys[1], [s, *hidden, 2 * a]), jnp.zeros(1)
    state = {"key": keys[2], "actor": policy, "actor_adam": moments(policy), "critic": critics, "critic_adam": moments(critics), "target": tree_map(jnp.array, critics), "log_alpha": log_alpha, "log_alpha_adam": moments(log_alpha)}

    def uniform(key, *shape):
        return jax.random.uniform(key, shape, minval=-1, maxval=1)

    batch = uniform(keys[3], b, s), uniform(keys[4], b, a), uniform(keys[5], b), uniform(keys[6], b, s), jnp.zeros(b)
    update = make_update(1.0 if options.algorithm == "edac" else 0, options.together)

    def sample(calls):
        nonlocal state
        start = time.perf_counter()
        for _ in range(calls):
            state = update(state, batch)
        jax.block_until_ready(state)
        return (time.perf_counter() - start) / calls

    sample(max(1, options.warmup))  # the first compiles
    calls = 1
    if options.device == "cuda":
        while sample(calls) * calls < 0.002 and calls < 1 << 20:
            calls *= 2
        sample(max(1, int(1 / sample(calls))))  # a second, for the clock rises with work
    times = sorted(sample(calls) / options.together for _ in range(options.samples))
    if not bool(jnp.isfinite(state["actor"][0][0]).all()):
        raise SystemExit("the update made the policy infinite")
    n = len(times)
    print(json.dumps({
        "work": f"{options.algorithm}, batch {b}, {s} observations, {a} actions, hidden {'-'.join(map(str, hidden))}", "seconds": times[n // 2], "seconds_10": times[n // 10],
        "seconds_90": times[min(n - 1, n * 9 // 10)], "samples": n, "peak_memory_bytes": peak_memory(), "version": f"JAX {jax.__version__}{f', {options.together} updates a call' if options.together > 1 else ''}",
    }))


if __name__ == "__main__":
    main()
