using Engine.Kernels;

namespace Engine.Algorithms.Policies;

/// <summary>Acts with a policy's program: memory, planned actions and streams of draws for every row. Allocates nothing while acting.</summary>
public sealed class PolicyActor : IActor
{
    private readonly PolicyProgram _policy;
    private readonly (PolicyDraw Draw, string Input, (uint K0, uint K1) Key, float[] Values)[] _draws;
    private readonly (PolicyMemory Memory, string Name, float[] Values)[] _memories;
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
        _draws = policy.Draws.Select(d => (d, PolicyDraw.Prefix + d.Name, Philox.Key(seed, "policy." + d.Name), new float[policy.Rows * d.Width])).ToArray();
        _memories = policy.Memories.Select(m => (m, PolicyMemory.Prefix + m.Name, new float[policy.Rows * m.Width])).ToArray();
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
            foreach (var (memory, _, values) in _memories) values.AsSpan(row * memory.Width, memory.Width).Fill(memory.Initial);
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
        var program = _policy.Program;
        foreach (var (draw, input, key, values) in _draws)
        {
            for (int row = 0; row < Rows; row++) Fill(values.AsSpan(row * draw.Width, draw.Width), draw.Normal, key, (uint)row, (uint)_turns[row]);
            program.Write(input, values);
        }
        foreach (var (_, name, values) in _memories) program.Write(name, values);
        program.Write("observations", observations);
        if (_policy.Spaces.Goal is not null) program.Write("goals", goals);
        program.Run();
        program.Read("actions", actions);
        for (int row = 0; row < Rows; row++)
            if (_left[row] == 0) _turns[row]++;
        foreach (var (memory, name, values) in _memories)
        {
            if (_policy.Horizon.Planned == 1) program.Read(name, values);
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
