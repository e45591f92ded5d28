using Engine.Algorithms.Data;
using Engine.Algorithms.Environments;

namespace Engine.Algorithms.Training;

/// <summary>Makes one of what data, environment and options say about observations, actions and goals.</summary>
internal static class RunSpaces
{
    /// <exception cref="DatasetException">Data do not fit the environment, or one another.</exception>
    /// <exception cref="SettingsException">There are neither data nor an environment, or the goal is no part of an observation.</exception>
    public static Spaces Of(RunConfig config, IReadOnlyDictionary<string, TrainingData> datasets, EnvironmentEntry? entry)
    {
        var task = entry?.Create(1).Spaces;
        var data = datasets.Count == 0 ? null : (datasets.TryGetValue(Draw.Offline, out var offline) ? offline : datasets.Values.First());
        foreach (var (_, one) in datasets)
        {
            if (task is not null && !Agree(one.Spaces, task)) throw new DatasetException($"{one.Source}: {one.Spaces}, environment {config.Environment} has {task}");
            if (!Agree(one.Spaces, data!.Spaces)) throw new DatasetException($"{one.Source}: {one.Spaces}, {data.Source} has {data.Spaces}");
        }
        var spaces = data?.Spaces ?? task ?? throw new SettingsException("nothing to learn from: name a dataset (--dataset) or an environment (--env)");
        var goal = config.ParseGoal() ?? task?.Goal ?? spaces.Goal;
        if (goal is not null && goal.Components.Any(c => c >= spaces.Observation.Size)) throw new SettingsException($"goal {string.Join(",", goal.Components)}: an observation has the components 0 to {spaces.Observation.Size - 1}");
        return spaces with { Goal = goal };
    }

    private static bool Agree(Spaces data, Spaces task) => data.Observation == task.Observation && data.Action.Fits(task.Action);
}
