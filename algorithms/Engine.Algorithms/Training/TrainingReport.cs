using Engine.Algorithms.Evaluation;

namespace Engine.Algorithms.Training;

/// <summary>What a training run says as it goes.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Stage">Name of the stage the last of them belongs to.</param>
/// <param name="StepsPerSecond">Since the last report.</param>
/// <param name="Metrics">Losses and metrics of the last update, by name; NaN: not computed yet.</param>
/// <param name="Losses">Names of those that are minimised.</param>
/// <param name="Evaluation">The evaluation on the run's environment made at this step, if one was.</param>
public sealed record TrainingReport(int Step, string Stage, double StepsPerSecond, IReadOnlyDictionary<string, float> Metrics, IReadOnlyList<string> Losses, EvaluationResult? Evaluation)
{
    /// <summary>The evaluations on further environments made at this step, by name (<see cref="RunConfig.EvaluateOn"/>).</summary>
    public IReadOnlyDictionary<string, EvaluationResult> Further { get; init; } = new Dictionary<string, EvaluationResult>();

    /// <summary>What the stage's updates report, computed at this step on what is held out, by name.</summary>
    public IReadOnlyDictionary<string, double> HeldOut { get; init; } = new Dictionary<string, double>();
}
