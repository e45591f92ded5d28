using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Policies;

/// <summary>Acts with a policy's program: memory, planned actions and streams of draws for every row. Allocates nothing while acting.</summary>
public sealed class PolicyActor : IActor
{
    private readonly PolicyProgram _policy;
    private readonly HostTensor _observations, _actions;
    private readonly HostTensor? _goals;
    private readonly (PolicyDraw Draw, HostTensor Input, (uint K0, uint K1) Key, float[] Values)[] _draws;
    private readonly (PolicyMemory Memory, HostTensor Before, HostTensor After, float[] Values)[] _memories;
    private readonly int[] _turns; // programs run, by row: the place in its streams
    private readonly int[] _left; // planned actions that are still to be carried out
    private readonly float[] _planned, _latest;
    private readonly int _actionSize;

    /// <summary>An actor with empty memory.</summary>
    /// <param name="policy">The program.</param>
    /// <param name="seed">Of its draws.</param>
    public PolicyActor(PolicyProgram policy, ulong seed)
    {
        (_policy, _actionSize, _turns, _left) = (policy, policy.Spaces.Action.Size, new int[policy.Rows], new int[policy.Rows]);
        var program = policy.Program;
        (_observations, _goals, _actions) = (program.Input("observations"), policy.Spaces.Goal is null ? null : program.Input("goals"), program.Output("actions"));
        _draws = policy.Draws.Select(d => (d, program.Input(PolicyDraw.Prefix + d.Name), Philox.Key(seed, "policy." + d.Name), new float[policy.Rows * d.Width])).ToArray();
        _memories = policy.Memories.Select(m => (m, program.Input(PolicyMemory.Prefix + m.Name), program.Output(PolicyMemory.Prefix + m.Name), new float[policy.Rows * m.Width])).ToArray();
        if (policy.Horizon.Planned > 1) (_planned, _latest) = (new float[policy.Rows * policy.Horizon.Planned * _actionSize], new float[policy.Rows * policy.Horizon.Planned * _actionSize]);
        else (_planned, _latest) = ([], []);
        Span<bool> all = policy.Rows <= 256 ? stackalloc bool[policy.Rows] : new bool[policy.Rows];
        all.Fill(true);
        Begin(all);
    }

    /// <inheritdoc/>
    public int Rows => _policy.Rows;

    /// <inheritdoc/>
    public void Begin(ReadOnlySpan<bool> fresh)
    {
        for (int row = 0; row < fresh.Length; row++)
        {
            if (!fresh[row]) continue;
            _left[row] = 0;
            foreach (var (memory, _, _, values) in _memories) values.AsSpan(row * memory.Width, memory.Width).Fill(memory.Initial);
        }
    }

    /// <inheritdoc/>
    public void Act(ReadOnlySpan<float> observations, ReadOnlySpan<float> goals, Span<float> actions)
    {
        var (planned, executed) = _policy.Horizon;
        if (planned == 1)
        {
            Run(observations, goals, actions);
            return;
        }
        if (_left.AsSpan().Contains(0))
        {
            // Rows that still carry out a plan keep it, and their draws.
            Run(observations, goals, _latest);
            int size = planned * _actionSize;
            for (int row = 0; row < Rows; row++)
            {
                if (_left[row] > 0) continue;
                _latest.AsSpan(row * size, size).CopyTo(_planned.AsSpan(row * size));
                _left[row] = executed;
            }
        }
        for (int row = 0; row < Rows; row++) _planned.AsSpan((row * planned + executed - _left[row]--) * _actionSize, _actionSize).CopyTo(actions[(row * _actionSize)..]);
    }

    private void Run(ReadOnlySpan<float> observations, ReadOnlySpan<float> goals, Span<float> actions)
    {
        foreach (var (draw, input, key, values) in _draws)
        {
            for (int row = 0; row < Rows; row++) Fill(values.AsSpan(row * draw.Width, draw.Width), draw.Normal, key, (uint)row, (uint)_turns[row]);
            input.Write(values);
        }
        foreach (var (_, before, _, values) in _memories) before.Write(values);
        _observations.Write(observations);
        _goals?.Write(goals);
        _policy.Program.Run();
        _actions.Read(actions);
        for (int row = 0; row < Rows; row++)
            if (_left[row] == 0) _turns[row]++;
        foreach (var (memory, _, after, values) in _memories)
        {
            if (_policy.Horizon.Planned == 1) after.Read(values);
            else throw new NotSupportedException($"memory {memory.Name}: a policy with an action horizon of {_policy.Horizon.Planned} has no memory");
        }
    }

    /// <summary>Numbers of a row's stream at a turn: Philox(key; block, row, turn).</summary>
    private static void Fill(Span<float> values, bool normal, (uint K0, uint K1) key, uint row, uint turn)
    {
        Span<double> four = stackalloc double[4];
        for (int i = 0; i < values.Length; i += 4)
        {
            var (a, b, c, d) = Philox.Block((uint)(i / 4), row, turn, 0, key.K0, key.K1);
            if (normal)
            {
                (four[0], four[1]) = Philox.NormalPair(a, b);
                if (i + 2 < values.Length) (four[2], four[3]) = Philox.NormalPair(c, d);
            }
            else (four[0], four[1], four[2], four[3]) = (Philox.Unit(a), Philox.Unit(b), Philox.Unit(c), Philox.Unit(d));
            for (int j = 0; j < 4 && i + j < values.Length; j++) values[i + j] = (float)four[j];
        }
    }

    /// <summary>Writes what it remembers: a checkpoint's part.</summary>
    public void Save(BinaryWriter to)
    {
        foreach (int[] ints in new[] { _turns, _left })
            foreach (int value in ints) to.Write(value);
        foreach (float[] floats in _memories.Select(m => m.Values).Append(_planned))
            foreach (float value in floats) to.Write(value);
    }

    /// <summary>Reads what <see cref="Save"/> of an actor of the same policy wrote.</summary>
    public void Load(BinaryReader from)
    {
        foreach (int[] ints in new[] { _turns, _left })
            for (int i = 0; i < ints.Length; i++) ints[i] = from.ReadInt32();
        foreach (float[] floats in _memories.Select(m => m.Values).Append(_planned))
            for (int i = 0; i < floats.Length; i++) floats[i] = from.ReadSingle();
    }
}
