using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Benchmarks;

/// <summary>
/// A piece of work to time: programs on made-up data. <c>engine bench</c> and perf/Engine.Perf both time these, so that a name means one thing. Disposing of it frees its memory.
/// </summary>
public abstract class Workload(Device device) : IDisposable
{
    /// <summary>One line: what is computed, on what.</summary>
    public abstract string Name { get; }

    /// <summary>The programs and how often each runs in a call.</summary>
    public abstract IReadOnlyList<(Program Program, double Share)> Programs { get; }

    /// <summary>Its variables.</summary>
    protected State State { get; } = new(device);

    /// <summary>Calls that belong together: those of all phases of an algorithm take turns, and a call's time is their average.</summary>
    public virtual int Cycle => 1;

    /// <summary>Calls before timing begins.</summary>
    public int WarmUp => Math.Max(5, Cycle);

    /// <summary>Runs it so many times.</summary>
    public abstract void Run(int calls);

    /// <summary>Bytes of arena, variables not included.</summary>
    public long ArenaBytes => State.ArenaBytes;

    /// <summary>Floating-point operations that the method asks for: <see cref="ProgramCost.NominalFlops"/>.</summary>
    public double NominalFlops => Sum(c => c.NominalFlops);

    /// <summary>Floating-point operations of the matrix products that run.</summary>
    public double ExecutedFlops => Sum(c => c.ExecutedFlops);

    /// <summary>Floating-point operations of everything else that runs.</summary>
    public double OtherFlops => Sum(c => c.OtherFlops);

    /// <summary>Bytes of operands read and written.</summary>
    public double Bytes => Sum(c => c.Bytes);

    /// <summary>The time of a call at these limits.</summary>
    public double LimitSeconds(Roofline roof) => Sum(c => c.Seconds(roof));

    private double Sum(Func<ProgramCost, double> of) => Programs.Sum(p => p.Share * of(p.Program.Cost));

    /// <summary>The first 16 digits of the SHA-256 of all variables, by name: equal after as many calls with any number of threads.</summary>
    public string Digest()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var variable in State.Variables.OrderBy(v => v.Name, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(variable.Name));
            hash.AppendData(State.ReadBytes(variable.Name));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }

    /// <summary>
    /// Seconds a call, sorted: so many samples, each of as many calls as take 2 ms; on a GPU, whose clock rises with work, after as many milliseconds of the same work as the samples shall take, at most a
    /// second. Run <see cref="WarmUp"/> calls before.
    /// </summary>
    public double[] Time(int samples)
    {
        int calls = Cycle;
        for (double seconds = Sample(calls); seconds * calls < 0.002 && calls < 1 << 24; seconds = Sample(calls)) calls *= 2;
        if (State.Device is not CpuDevice)
            for (long start = Stopwatch.GetTimestamp(); Since(start) < Math.Min(1, samples * 0.002);) Sample(calls);
        var times = new double[samples];
        for (int i = 0; i < samples; i++) times[i] = Sample(calls);
        Array.Sort(times);
        return times;
    }

    /// <summary>Seconds a call, the mean of so many.</summary>
    protected double Sample(int calls)
    {
        long start = Stopwatch.GetTimestamp();
        Run(calls);
        State.Device.Synchronize();
        return Since(start) / calls;
    }

    /// <summary>Seconds since a reading of the clock, as fine as it ticks (a TimeSpan has ticks of 0.1 us).</summary>
    protected static double Since(long start) => (Stopwatch.GetTimestamp() - start) / (double)Stopwatch.Frequency;

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        foreach (var (program, _) in Programs) program.Dispose();
        State.Dispose();
        GC.SuppressFinalize(this);
    }
}
