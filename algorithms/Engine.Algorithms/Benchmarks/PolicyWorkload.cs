using System.Diagnostics;
using Engine.Algorithms.Policies;
using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Algorithms.Benchmarks;

/// <summary>A policy at one observation, as a host calls it: numbers in, the program, numbers out.</summary>
public sealed class PolicyWorkload : Workload
{
    private readonly Policy _policy;
    private readonly PolicyActor _actor;
    private readonly float[] _observation, _goal, _action;
    private int _calls;

    /// <summary>Compiles the policy.</summary>
    /// <param name="entry">The algorithm.</param>
    /// <param name="settings">Its settings.</param>
    /// <param name="observations">S.</param>
    /// <param name="actions">A, or the number of discrete actions.</param>
    /// <param name="device">Where it runs.</param>
    public PolicyWorkload(AlgorithmEntry entry, AlgorithmSettings settings, int observations, int actions, Device device) : base(device)
    {
        var spaces = UpdateWorkload.Spaces(entry, observations, actions);
        _policy = new Policy(entry.Create(new AlgorithmContext(State, 0, spaces), settings), State);
        _actor = _policy.Start(1);
        (_observation, _goal, _action) = (new float[observations], new float[spaces.Goal!.Size], new float[spaces.Action.Size]);
        Name = $"policy of {entry.Name}, {observations} observations, {actions} actions{UpdateWorkload.Hidden(settings)}, one observation";
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<(Program Program, double Share)> Programs => [(_policy.For(1).Program, 1)];

    /// <inheritdoc/>
    public override void Run(int calls)
    {
        for (int i = 0; i < calls; i++) Act();
    }

    private void Act()
    {
        // Another observation every time, as a host has.
        _observation[_calls % _observation.Length] = _calls % 100 * 0.01f;
        _calls = (_calls + 1) % 1_000_000;
        _actor.Act(_observation, _goal, _action);
    }

    /// <summary>Percentiles over single calls, and what calls and clock cost otherwise.</summary>
    /// <param name="calls">How many, after a fifth as many to warm up; at least 100.</param>
    public Latency Measure(int calls)
    {
        Run(calls / 5);
        var times = new double[calls];
        for (int i = 0; i < calls; i++)
        {
            long start = Stopwatch.GetTimestamp();
            Act();
            times[i] = Since(start);
        }
        Array.Sort(times);
        // Neither the clock's cost nor its ticks matter to the mean of a hundred calls.
        var hundreds = new double[calls / 100];
        for (int i = 0; i < hundreds.Length; i++) hundreds[i] = Sample(100);
        Array.Sort(hundreds);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Run(calls);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        var clock = new double[1000];
        for (int i = 0; i < clock.Length; i++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int j = 0; j < 10; j++) Stopwatch.GetTimestamp();
            clock[i] = Since(start) / 11;
        }
        Array.Sort(clock);
        return new(calls, times[calls / 2], times[(int)(calls * 0.99)], times[(int)(calls * 0.999)], hundreds[hundreds.Length / 2], clock[clock.Length / 2], allocated);
    }
}

/// <summary>The time of calls in seconds.</summary>
/// <param name="Calls">How many were timed.</param>
/// <param name="P50">Median of calls timed one by one; the reading of the clock is part of it.</param>
/// <param name="P99">99 of a hundred take no longer.</param>
/// <param name="P999">999 of a thousand.</param>
/// <param name="OfHundred">A call's share of a hundred in a row, the median of such.</param>
/// <param name="Clock">What one reading of the clock takes.</param>
/// <param name="AllocatedBytes">Managed memory that as many calls allocate together.</param>
public sealed record Latency(int Calls, double P50, double P99, double P999, double OfHundred, double Clock, long AllocatedBytes);
