using Engine.Algorithms.Environments;
using Engine.Algorithms.Environments.Grids;
using Engine.Kernels;

namespace Engine.Algorithms.Data;

/// <summary>How good a behaviour is.</summary>
/// <param name="Skill">0 useless to 1 the best rule: about its share of the way from a random policy's return to the best rule's.</param>
/// <param name="Noise">Share of the actions that are uniformly random instead.</param>
internal readonly record struct Grade(double Skill, double Noise);

/// <summary>
/// Datasets of a stated quality, <c>builtin:NAME,quality=Q</c>. NeoRL (Qin et al. 2022): low, medium and high stand for a quarter, half and three quarters of the expert's return, with a fifth of the actions at random.
/// Schweighofer et al. 2022: random; expert ("fully"), noisy (a fifth of the actions at random), mixed (four fifths of the rows random, then the expert's), replay (from random to the expert as the
/// rows go on, as in the memory of a learning agent).
/// </summary>
internal static class BuiltinGraded
{
    private const double Exploring = 0.2;

    /// <summary>All, worst first.</summary>
    internal static IReadOnlyList<string> Qualities { get; } = ["random", "low", "medium", "high", "expert", "noisy", "mixed", "replay"];

    private static Grade At(string quality, double progress) => quality switch
    {
        "random" => new(0, 1),
        "low" => new(0.25, Exploring),
        "medium" => new(0.5, Exploring),
        "high" => new(0.75, Exploring),
        "expert" => new(1, 0),
        "noisy" => new(1, Exploring),
        "mixed" => progress < 0.8 ? new(0, 1) : new(1, 0),
        "replay" => new(progress, 1 - progress),
        _ => throw new ArgumentOutOfRangeException(nameof(quality)),
    };

    /// <summary>CartPole: a balancing rule; with less skill it lets the cart drift, in the end drives it away.</summary>
    internal static Dataset CartPole(int rows, ulong seed, string quality) => Make("cartpole", "CartPole-v1", rows, seed, quality, (_, _, skill) =>
    {
        double hold = Between(skill, -6, -3, -0.85, -0.27, 1); // calibrated: mean returns in docs/environments.md
        return o => o[2] + 0.3 * o[3] + hold * (0.03 * o[0] + 0.1 * o[1]) > 0 ? 1 : 0;
    });

    /// <summary>Pendulum: swing-up and balance; with less skill the torque is too small.</summary>
    internal static Dataset Pendulum(int rows, ulong seed, string quality) => Make("pendulum", "Pendulum-v1", rows, seed, quality, (_, _, skill) =>
    {
        double gain = Between(skill, 0, 0.17, 0.43, 0.6, 1);
        return o => (float)Math.Clamp(gain * BuiltinPendulum.Controller(Math.Atan2(o[1], o[0]), o[2]), -2, 2);
    });

    /// <summary>A grid: skill is the share of episodes that a planner who knows the level plays; the others are random.</summary>
    internal static Dataset Grid(GridTask task, int rows, ulong seed, string quality) => Make(task.Id, task.Id, rows, seed, quality, (environment, random, skill) =>
    {
        var (world, planner) = ((GridWorld)environment, new GridPlanner());
        bool plans = random.NextUnit() < skill;
        return _ => plans ? (float)planner.Act(world, 0) : random.NextInt(7);
    });

    /// <summary>The entries of the grids.</summary>
    internal static IEnumerable<BuiltinDataset> Grids() => GridTask.All.Select(task => new BuiltinDataset(task.Id, "a planner's and random episodes", task.Id, 100_000,
        (rows, seed, quality) => Grid(task, rows, seed, quality ?? "mixed"))
    { Qualities = Qualities });

    /// <summary>A number that depends on skill, given at 0, 1/4, 1/2, 3/4 and 1, straight lines between.</summary>
    private static double Between(double skill, params ReadOnlySpan<double> values)
    {
        int i = Math.Min((int)(skill * 4), 3);
        return values[i] + (skill * 4 - i) * (values[i + 1] - values[i]);
    }

    /// <summary>Episodes one after the other until there are enough rows.</summary>
    internal static Dataset Make(string name, string id, int rows, ulong seed, string quality, Func<IEnvironment, PhiloxStream, double, Func<float[], float>> behaviour)
    {
        var environment = EnvironmentCatalogue.Find(id).Create(1);
        var recorder = new Recorder(environment);
        for (int episode = 0; recorder.Count < rows; episode++)
        {
            var random = new PhiloxStream(seed, $"builtin:{name},quality={quality}[{episode}]");
            var grade = At(quality, (double)recorder.Count / rows);
            var act = behaviour(environment, random, grade.Skill);
            recorder.Record(o => [random.NextUnit() < grade.Noise ? Any(environment.ActionSpace, random) : act(o)], random, rows);
        }
        return recorder.ToDataset("builtin:" + name, id) with { Layout = "builtin" };
    }

    private static float Any(ActionSpace space, PhiloxStream random) => space switch
    {
        DiscreteActions discrete => random.NextInt(discrete.Count),
        ActionBounds { Size: 1 } bounds => (float)random.NextUniform(bounds.Low[0], bounds.High[0]),
        _ => throw new NotSupportedException($"{space} has several components"),
    };
}
