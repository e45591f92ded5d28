using Engine.Autodiff;

namespace Engine.Algorithms.Training;

/// <summary>What the updates of a run report, kept in variables, so that what one program reports is still there after an update of another; and what its duties report.</summary>
internal sealed class RunMetrics(State state)
{
    private const string Prefix = "metrics.";

    private readonly List<string> _names = [], _losses = [], _hostNames = [];
    private readonly Dictionary<string, float> _reported = [];
    private readonly Dictionary<string, string> _twins = []; // of a name, another under which every program reports the same value

    /// <summary>Those of updates, then those of duties.</summary>
    public IReadOnlyList<string> Names => [.. _names, .. _hostNames];

    /// <summary>Names of those that are minimised.</summary>
    public IReadOnlyList<string> Losses => _losses;

    /// <summary>Keeps an update's outputs.</summary>
    public void Trace(Graph graph)
    {
        var kept = new Dictionary<Tensor, string>();
        foreach (var (name, value) in graph.Outputs.ToArray())
        {
            if (graph.Watched.Contains(value) && !_losses.Contains(name)) _losses.Add(name);
            // A value of two names is kept once: a second variable would cost a copy.
            bool known = _names.Contains(name);
            if (kept.TryGetValue(value, out string? twin) && (!known || _twins.GetValueOrDefault(name) == twin))
            {
                if (!known) _names.Add(name);
                _twins[name] = twin;
                continue;
            }
            if (_twins.TryGetValue(name, out twin)) throw new InvalidOperationException($"{name} is the same value as {twin} in one update and another in a later one");
            kept.TryAdd(value, name);
            if (!known)
            {
                _names.Add(name);
                state.Add(Prefix + name, [1], new[] { float.NaN }, VariableKind.State);
            }
            graph.Assign(state[Prefix + name], Number(value));
        }
    }

    /// <summary>What is logged of a value: itself, or its mean; [1].</summary>
    public static Tensor Number(Tensor value) => (value.Shape.Elements == 1 ? value : value.Mean()).Reshape(1);

    /// <summary>Adds what a duty reports.</summary>
    public void Add(IDuty duty) => _hostNames.AddRange(duty.Metrics.Except(_hostNames));

    /// <summary>Keeps a number that a duty reports.</summary>
    public void Report(string name, double value) => _reported[name] = (float)value;

    /// <summary>All, as they stand; NaN: not computed yet.</summary>
    public Dictionary<string, float> Read()
    {
        var metrics = _names.ToDictionary(name => name, name => state.Read(Prefix + _twins.GetValueOrDefault(name, name))[0]);
        foreach (string name in _hostNames) metrics[name] = _reported.GetValueOrDefault(name, float.NaN);
        return metrics;
    }

    /// <summary>Writes what duties reported: a checkpoint's part.</summary>
    public void Save(BinaryWriter to)
    {
        foreach (string name in _hostNames) to.Write(_reported.GetValueOrDefault(name, float.NaN));
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    public void Load(BinaryReader from)
    {
        foreach (string name in _hostNames) _reported[name] = from.ReadSingle();
    }
}
