namespace Engine.Algorithms.Training;

/// <summary>At which steps of a run its stages begin and end.</summary>
internal sealed class Timeline
{
    private readonly IReadOnlyList<Stage> _stages;
    private readonly int[] _begins; // of each stage, and the end

    /// <exception cref="SettingsException">The stages with a length of their own leave nothing for the one that has what is left.</exception>
    public Timeline(IReadOnlyList<Stage> stages, RunConfig config)
    {
        if (stages.Count == 0) throw new InvalidOperationException($"{config.Algorithm} has no stages");
        (_stages, _begins) = (stages, new int[stages.Count + 1]);
        int stated = stages.Sum(s => s.Steps ?? 0), open = stages.Count(s => s.Steps is null);
        if (open > 1) throw new InvalidOperationException($"{config.Algorithm}: {open} stages last for what is left of the run; one can");
        if (open == 1 && stated >= config.Steps) throw new SettingsException($"steps={config.Steps}: the stages {string.Join(", ", stages.Where(s => s.Steps is not null).Select(s => $"{s.Name} ({s.Steps})"))} leave nothing for {stages.First(s => s.Steps is null).Name}");
        for (int i = 0; i < stages.Count; i++) _begins[i + 1] = _begins[i] + (stages[i].Steps ?? config.Steps - stated);
    }

    /// <summary>Steps of all stages.</summary>
    public int Steps => _begins[^1];

    /// <summary>Number of the stage of a step; at the end the last.</summary>
    public int At(int step)
    {
        int i = 0;
        while (i < _stages.Count - 1 && step >= _begins[i + 1]) i++;
        return i;
    }

    /// <summary>The first step of a stage; of the number of stages: the end.</summary>
    public int Begin(int stage) => _begins[stage];

    /// <summary>Updates done before a step.</summary>
    public int UpdatesBefore(int step)
    {
        int updates = 0;
        for (int i = 0; i < _stages.Count; i++)
            if (_stages[i].Update is not null) updates += Math.Clamp(step, _begins[i], _begins[i + 1]) - _begins[i];
        return updates;
    }
}
