using Engine.Algorithms.Environments;
using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.ValueBased;

/// <summary>
/// Shows an expert of the task rows of the dataset, each with the data's action and the policy's, and keeps which of both is the better one. The environment is not stepped for the method: the answers come from a simulator of the expert's own.
/// </summary>
/// <param name="settings">How much is asked, and of whom.</param>
/// <param name="answers">What is kept of a question, [budget, S + 2 A + 1]: the observation as networks see it, the data's action, the policy's, and 1 if the data's is the better one.</param>
/// <param name="count">Questions so far: an I32 scalar.</param>
internal sealed class PreferenceQueries(OapSettings settings, Variable answers, Variable count) : IDuty
{
    private StateEnvironment? _environment;
    private TaskExpert? _expert;

    /// <inheritdoc/>
    public IReadOnlyList<string> Metrics { get; } = ["questions", "data_preferred"];

    /// <inheritdoc/>
    public void Prepare(Trainer run)
    {
        var entry = run.Environment ?? throw new SettingsException($"{run.Config.Algorithm} asks an expert of the task: name the environment with --env");
        _expert = entry.Expert ?? throw new SettingsException($"{run.Config.Algorithm} asks an expert of the task, and {entry.Id} has none; {string.Join(", ", EnvironmentCatalogue.All.Where(e => e.Expert is not null).Select(e => e.Id))} have");
        _environment = entry.Create(1) as StateEnvironment ?? throw new SettingsException($"{entry.Id}: an expert of an environment whose state cannot be set");
    }

    /// <inheritdoc/>
    public int Next(int step) => Every.Next(step, settings.QuestionEvery) is var next && next / settings.QuestionEvery * (long)settings.QuestionsAtOnce < settings.Questions ? next : int.MaxValue;

    /// <inheritdoc/>
    public void Do(Trainer run)
    {
        if (!run.State.Device.HoldsData) return;
        int asked = run.State.ReadInts(count.Name)[0], many = Math.Min(settings.QuestionsAtOnce, settings.Questions - asked);
        var table = run.Data(Draw.Offline).Shard(0);
        var bounds = (ActionBounds)run.Spaces.Action;
        int s = run.Spaces.Observation.Size, a = bounds.Size, width = s + 2 * a + 1;
        // Of the questions' number alone: a resumed run asks the same.
        var random = new PhiloxStream(run.Config.Seed, $"questions[{asked}]");
        int[] rows = Enumerable.Range(0, many).Select(_ => table.Transitions[random.NextInt(table.Transitions.Length)]).ToArray();
        float[] seen = rows.SelectMany(row => table.Row("observations", row).ToArray()).ToArray(), own = new float[many * a];
        run.Policy.Start(many).Act(seen, default, own);
        float[]? mean = run.Algorithm.Normalizes ? run.State.Read("normalizer.mean") : null, std = run.Algorithm.Normalizes ? run.State.Read("normalizer.std") : null;
        var kept = new float[many * width];
        int preferred = 0;
        for (int i = 0; i < many; i++)
        {
            Span<float> observation = seen.AsSpan(i * s, s), offered = own.AsSpan(i * a, a), to = kept.AsSpan(i * width, width);
            var recorded = table.Row("actions", rows[i]);
            bool better = random.NextUnit() < settings.RandomAnswers ? random.NextInt(2) == 0 : Value(bounds, observation, recorded) >= Value(bounds, observation, offered);
            for (int j = 0; j < s; j++) to[j] = mean is null ? observation[j] : (observation[j] - mean[j]) / std![j];
            recorded.CopyTo(to[s..]);
            offered.CopyTo(to[(s + a)..]);
            to[^1] = better ? 1 : 0;
            if (better) preferred++;
        }
        run.State.WriteAt(answers.Name, (long)asked * width, kept);
        run.State.Write(count.Name, new[] { asked + many });
        run.Report("questions", asked + many);
        run.Report("data_preferred", (double)preferred / many);
    }

    private double Value(ActionBounds bounds, ReadOnlySpan<float> observation, ReadOnlySpan<float> action)
    {
        Span<float> own = stackalloc float[action.Length];
        for (int j = 0; j < action.Length; j++) own[j] = bounds.FromUnit(j, action[j]);
        return _expert!.Value(_environment!, observation, own, settings.ExpertSteps, settings.Discount);
    }
}
