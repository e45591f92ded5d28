using Engine.Algorithms.Batches;
using Engine.Algorithms.Environments;
using Engine.Algorithms.Policies;
using Engine.Kernels;

namespace Engine.Algorithms.Training;

/// <summary>
/// Copies of the environment that are interacted with while training, and the buffer that keeps what happens. Episode i of a run starts from the stream (seed, "interact[i]"), whatever came before.
/// </summary>
public sealed class Collector : IDisposable
{
    private readonly Trainer _run;
    private readonly IEnvironment _environment;
    private readonly ActionSpace _space;
    private readonly float[] _observations, _next, _goals, _actions, _inUnits, _rewards, _terminals;
    private readonly bool[] _terminal, _ends, _fresh;
    private readonly int[] _lengths;
    private readonly double[] _returns;
    private readonly Dictionary<Mode, PolicyActor> _actors = [];
    private readonly int _maxSteps;
    private readonly (uint K0, uint K1) _uniform;
    private int _episodes, _steps;
    private double _lastReturn = double.NaN;

    internal Collector(EnvironmentEntry entry, ReplayBuffer buffer, Trainer run)
    {
        (_run, Buffer, _environment) = (run, buffer, entry.Create(buffer.Copies));
        int n = buffer.Copies, s = run.Spaces.Observation.Size, a = run.Spaces.Action.Size;
        (_space, _maxSteps, _uniform) = (_environment.ActionSpace, _environment.MaxSteps, Philox.Key(run.Config.Seed, $"interact.{buffer.Source}.random"));
        (_observations, _next, _goals) = (new float[n * s], new float[n * s], new float[n * (run.Spaces.Goal?.Size ?? 0)]);
        (_actions, _inUnits, _rewards, _terminals) = (new float[n * a], new float[n * a], new float[n], new float[n]);
        (_terminal, _ends, _fresh, _lengths, _returns) = (new bool[n], new bool[n], new bool[n], new int[n], new double[n]);
        for (int copy = 0; copy < n; copy++) Reset(copy);
        _environment.Observe(_observations);
    }

    /// <summary>What keeps the rows.</summary>
    public ReplayBuffer Buffer { get; }

    /// <summary>Steps of the environment so far, those of all copies counted.</summary>
    public int EnvironmentSteps => _steps * Buffer.Copies;

    /// <summary>Episodes that have ended.</summary>
    public int Episodes => _episodes - Buffer.Copies;

    /// <summary>Return of the episode that ended last; NaN before the first.</summary>
    public double LastReturn => _lastReturn;

    private void Reset(int copy)
    {
        _environment.Reset(copy, new PhiloxStream(_run.Config.Seed, $"interact.{Buffer.Source}[{_episodes++}]"));
        (_lengths[copy], _returns[copy], _fresh[copy]) = (0, 0, true);
    }

    private PolicyActor Actor(Mode mode)
    {
        if (!_actors.TryGetValue(mode, out var actor)) _actors[mode] = actor = _run.Policy.Start(Buffer.Copies, mode, _run.Config.Seed);
        return actor;
    }

    /// <summary>One step of all copies, by the policy as it stands, or by actions drawn uniformly.</summary>
    /// <param name="mode">How the policy acts; null: uniform actions.</param>
    public void Step(Mode? mode)
    {
        if (mode is { } how)
        {
            var actor = Actor(how);
            actor.Begin(_fresh);
            if (_goals.Length > 0) _environment.Goals(_goals);
            actor.Act(_observations, _goals, _actions);
        }
        else DrawActions();
        Array.Clear(_fresh);
        _actions.CopyTo(_inUnits, 0);
        if (_space is ActionBounds bounds)
            for (int i = 0; i < _inUnits.Length; i++) _inUnits[i] = bounds.FromUnit(i % bounds.Size, _inUnits[i]);
        _environment.Step(_inUnits, _rewards, _terminal);
        _environment.Observe(_next);
        _steps++;
        for (int copy = 0; copy < _lengths.Length; copy++)
        {
            _lengths[copy]++;
            _returns[copy] += _rewards[copy];
            _terminals[copy] = _terminal[copy] ? 1 : 0;
            _ends[copy] = _terminal[copy] || _lengths[copy] >= _maxSteps;
        }
        Buffer.Append(_run.Step, _observations, _actions, _rewards, _terminals, _next, _ends);
        bool any = false;
        for (int copy = 0; copy < _ends.Length; copy++)
        {
            if (!_ends[copy]) continue;
            _lastReturn = _returns[copy];
            Reset(copy);
            any = true;
        }
        if (any) _environment.Observe(_observations);
        else _next.CopyTo(_observations, 0);
    }

    private void DrawActions()
    {
        for (int i = 0; i < _actions.Length; i++)
        {
            uint word = Philox.Block((uint)i, (uint)_steps, 0, 0, _uniform.K0, _uniform.K1).X0;
            _actions[i] = _space is DiscreteActions discrete ? Philox.Integer(word, discrete.Count) : (float)(2 * Philox.Unit(word) - 1);
        }
    }

    /// <summary>Writes counters, the state of the environment and what the policy remembers.</summary>
    internal void Save(BinaryWriter to)
    {
        to.Write(_episodes);
        to.Write(_steps);
        to.Write(_lastReturn);
        for (int copy = 0; copy < _lengths.Length; copy++)
        {
            to.Write(_lengths[copy]);
            to.Write(_returns[copy]);
            to.Write(_fresh[copy]);
        }
        to.Write(_actors.Count);
        foreach (var (mode, actor) in _actors.OrderBy(a => a.Key))
        {
            to.Write((int)mode);
            actor.Save(to);
        }
        to.Write(_environment.CanSave);
        if (_environment.CanSave) _environment.Save(to);
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <exception cref="SettingsException">The environment cannot save its state, and episodes may not begin anew.</exception>
    internal void Load(BinaryReader from)
    {
        _episodes = from.ReadInt32();
        _steps = from.ReadInt32();
        _lastReturn = from.ReadDouble();
        for (int copy = 0; copy < _lengths.Length; copy++)
        {
            _lengths[copy] = from.ReadInt32();
            _returns[copy] = from.ReadDouble();
            _fresh[copy] = from.ReadBoolean();
        }
        for (int actors = from.ReadInt32(); actors > 0; actors--) Actor((Mode)from.ReadInt32()).Load(from);
        if (from.ReadBoolean()) _environment.Load(from);
        else if (!_run.Config.RestartEpisodes) throw new SettingsException($"environment {_run.Config.Environment} cannot save its state, so its episodes cannot go on where they stood: --restart-episodes begins them anew");
        else for (int copy = 0; copy < _lengths.Length; copy++)
        {
            Buffer.Cut(copy);
            Reset(copy);
        }
        _environment.Observe(_observations);
    }

    /// <inheritdoc/>
    public void Dispose() => Buffer.Dispose();
}
