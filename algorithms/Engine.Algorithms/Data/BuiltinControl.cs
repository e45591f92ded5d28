using Engine.Algorithms.Environments;
using Engine.Kernels;

namespace Engine.Algorithms.Data;

/// <summary>
/// <c>builtin:two-modes</c>, and <c>builtin:cartpole</c> and <c>builtin:mountaincar-continuous</c>: simple rules that solve the task, made worse per episode, and a fifth of the episodes uniformly random; so the data
/// hold what a good policy needs, and imitating their average is far from it.
/// </summary>
public static class BuiltinControl
{
    /// <summary>CartPole: leans against the fall; per episode the rule's weights are disturbed and a share of the actions is random.</summary>
    public static Dataset CartPole(int rows, ulong seed) => CartPole(rows, seed, 0.2, 0, 0.6, 1);

    /// <summary>The same of another quality.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="seed">Of starts and behaviour.</param>
    /// <param name="random">Share of the episodes that is random.</param>
    /// <param name="low">In the others at least this share of the actions is.</param>
    /// <param name="high">At most this.</param>
    /// <param name="disturbed">How much the rule's weights are disturbed, in [0, 1].</param>
    internal static Dataset CartPole(int rows, ulong seed, double random, double low, double high, double disturbed) => Make("cartpole", "CartPole-v1", rows, seed, stream =>
    {
        bool uniform = stream.NextUnit() < random;
        double share = uniform ? 1 : stream.NextUniform(low, high), d = disturbed;
        double angle = 1 + d * stream.NextUniform(-0.6, 0.6), speed = 0.3 * (1 - d + d * stream.NextUniform(-0.2, 1.8)), position = 0.03 * (1 - d + d * stream.NextUniform(-1, 2)), velocity = 0.1 * (1 - d + d * stream.NextUniform(-1, 2));
        return o => stream.NextUnit() < share ? stream.NextInt(2) : angle * o[2] + speed * o[3] + position * o[0] + velocity * o[1] > 0 ? 1 : 0;
    });

    /// <summary>MountainCarContinuous: pushes along the velocity; per episode with another strength, which may be too little, a bias and noise.</summary>
    public static Dataset MountainCarContinuous(int rows, ulong seed) => Make("mountaincar-continuous", "MountainCarContinuous-v0", rows, seed, random =>
    {
        bool uniform = random.NextUnit() < 0.2;
        double gain = random.NextUniform(0, 1.2), bias = random.NextUniform(-0.4, 0.4), noise = random.NextUniform(0.05, 0.6);
        return o => (float)Math.Clamp(uniform ? random.NextUniform(-1, 1) : gain * (o[1] >= 0 ? 1 : -1) + bias + noise * random.NextNormal(), -1, 1);
    });

    /// <summary>TwoModes: one of the right actions, either with the same chance, and normal noise of 0.05.</summary>
    public static Dataset TwoModes(int rows, ulong seed) => Make("two-modes", "TwoModes-v1", rows, seed, random =>
    {
        double sign = random.NextInt(2) == 0 ? 1 : -1, noise = 0.05 * random.NextNormal();
        return o => (float)Math.Clamp(sign * Environments.TwoModes.Right(o[0]) + noise, -1, 1);
    });

    /// <summary>Episodes one after the other until there are enough rows; equal seeds begin alike whatever the size.</summary>
    private static Dataset Make(string name, string id, int rows, ulong seed, Func<PhiloxStream, Func<float[], float>> behaviour)
    {
        var recorder = new Recorder(EnvironmentCatalogue.Find(id).Create(1));
        for (int episode = 0; recorder.Count < rows; episode++)
        {
            var random = new PhiloxStream(seed, $"builtin:{name}[{episode}]");
            var act = behaviour(random);
            recorder.Record(o => [act(o)], random, rows);
        }
        return recorder.ToDataset("builtin:" + name, id) with { Layout = "builtin" };
    }
}
