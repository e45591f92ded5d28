// A method of one's own, with a batch kind and a task of one's own: registered, trained, stopped, resumed from its folder, evaluated.
using Engine.Algorithms;
using Engine.Algorithms.Batches;
using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Evaluation;
using Engine.Algorithms.Policies;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;
using Engine.Nn;

EnvironmentCatalogue.Register(new EnvironmentEntry("Cart-v0", copies => new Cart(copies)));
AlgorithmCatalogue.Register(AlgorithmEntry.Of<RegressionSettings>("reward-regression", "imitates its own better actions, online", "Peters and Schaal 2007", (context, settings) => new RewardRegression(context, settings)));

string run = Directory.CreateTempSubdirectory("custom-algorithm").FullName;
using var device = new CpuDevice(threads: 2);
var nothing = new Dictionary<string, TrainingData>(); // no dataset: all that it learns from it does itself
var config = new RunConfig
{
    Algorithm = "reward-regression",
    Settings = new RegressionSettings { BatchSize = 128 },
    Environment = "Cart-v0",
    Copies = 4,
    Steps = 4_000,
    LogEvery = 500,
    EvaluateEvery = 1_000,
};
void Show(TrainingReport report) => Console.WriteLine($"step {report.Step} ({report.Stage}): value_loss {report.Metrics["value_loss"]:F3}{(report.Evaluation is { } e ? $", return {e.Mean:F1}" : "")}");

using (var stop = new CancellationTokenSource())
using (var trainer = new Trainer(config, nothing, device, run))
{
    try { trainer.Run(report => { Show(report); if (report.Step == 2_000) stop.Cancel(); }, stop.Token); }
    catch (OperationCanceledException) { Console.WriteLine($"stopped at step {trainer.Step}; buffer, episodes and networks are in the folder"); }
}
using (var trainer = new Trainer(config, nothing, device, run, resume: true)) trainer.Run(Show, CancellationToken.None);
var (result, _) = Evaluator.Run(run, environment: null, episodes: 50, seed: 1, device);
var idle = Evaluator.Run(EnvironmentCatalogue.Find("Cart-v0"), (_, _, actions) => actions.Clear(), episodes: 50, seed: 1);
Console.WriteLine($"return {result.Mean:F1}, of doing nothing {idle.Mean:F1}");
Directory.Delete(run, recursive: true);
return result.Mean > idle.Mean / 2 ? 0 : 1; // returns are negative

/// <summary>Hyper-parameters.</summary>
internal sealed record RegressionSettings : ContinuousSettings
{
    public RegressionSettings() => HiddenSizes = [32, 32];

    [Source("tried"), Above(0)]
    public double LearningRate { get; init; } = 1e-3;
}

/// <summary>Reward-weighted regression: a value network learns the mean of the next rewards, the policy imitates each action with the weight exp((rewards - value) / temperature).</summary>
internal sealed class RewardRegression : Algorithm
{
    private const double Temperature = 0.25; // a quarter of what is usual between good and bad
    private readonly Mlp _policy, _value;
    private readonly AdamOptimiser _policyOptimiser, _valueOptimiser;

    public RewardRegression(AlgorithmContext context, RegressionSettings settings) : base(context, settings)
    {
        (_policy, _value) = (new Mlp(Parameters["policy"], context.ObservationSize, context.ActionSize, settings.Network()), new Mlp(Parameters["value"], context.ObservationSize, 1, settings.Network()));
        _policyOptimiser = new AdamOptimiser(context.State, "policy", _policy, settings.Adam(settings.LearningRate));
        _valueOptimiser = new AdamOptimiser(context.State, "value", _value, settings.Adam(settings.LearningRate));
    }

    public override IReadOnlyList<Stage> Stages =>
    [
        new("start", 200, null) { Duties = [new Interact(Draw.Online, 4_000, mode: null)] },
        new("online", null, Update) { Draws = [new(new Ahead(10), Draw.Online)], Duties = [new Interact(Draw.Online, 4_000)] },
    ];

    protected override void Update(Batch b)
    {
        var advantage = b["ahead"] - _value.Apply(b.Observations).Squeeze(-1);
        var valueLoss = advantage.Square().Mean();
        var weight = (advantage.StopGradient() * (1 / Temperature)).Exp().Minimum(20);
        var policyLoss = ((Mean(b.Observations) - b.Actions).Square() * weight.Expand(-1)).Mean();
        Report("value_loss", valueLoss);
        Report("policy_loss", policyLoss);
        _valueOptimiser.Minimise(valueLoss);
        _policyOptimiser.Minimise(policyLoss);
    }

    private Tensor Mean(Tensor observations) => _policy.Apply(observations).Tanh();

    protected override Tensor Act(Acting a) => a.Mode == Mode.Deterministic ? Mean(a.Observations) : (Mean(a.Observations) + a.Normal("action", Context.ActionSize) * 0.3).Clip(-1, 1);
}

/// <summary>Rows as they are, and <c>ahead</c>: the mean of the next rewards of the trajectory, at most so many.</summary>
internal sealed record Ahead(int Length) : BatchKind
{
    public override IReadOnlyList<BatchColumn> Columns(IReadOnlyList<BatchColumn> row, Spaces spaces) => [.. row, BatchColumn.Number("ahead")];

    public override Func<string, Tensor> Read(DrawnRows drawn)
    {
        var (at, valid) = drawn.Window(Length);
        return name => name == "ahead" ? (drawn.Column("rewards", at) * valid).Sum(1) / valid.Sum(1) : drawn.Column(name);
    }
}

/// <summary>Push a cart on a line to 0: position and speed are seen, the reward is minus the distance; 60 steps.</summary>
internal sealed class Cart(int copies) : StateEnvironment(copies, stateSize: 2)
{
    public override ActionSpace ActionSpace { get; } = ActionBounds.Unit(1);

    public override int MaxSteps => 60;

    protected override void Reset(Span<double> s, PhiloxStream random) => (s[0], s[1]) = (random.NextUniform(-1, 1), 0);

    protected override (float Reward, bool Terminal) Step(Span<double> s, ReadOnlySpan<float> action)
    {
        s[1] = 0.9 * s[1] + 0.1 * Math.Clamp(action[0], -1, 1);
        s[0] += s[1] * 0.5;
        return ((float)-Math.Abs(s[0]), false);
    }
}
