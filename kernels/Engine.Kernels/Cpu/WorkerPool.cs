using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Engine.Kernels.Cpu;

/// <summary>Work cut into chunks that may run in any order, on any thread.</summary>
public interface IChunkedWork
{
    /// <summary>Runs one chunk.</summary>
    /// <param name="chunk">Which one; each is run once.</param>
    /// <param name="worker">Who runs it, in [0, threads): an index of scratch memory, of which nothing else may depend.</param>
    void RunChunk(int chunk, int worker);
}

/// <summary>
/// A fixed set of threads that share out chunks of work. The caller is worker 0, so a pool of one thread starts none. Workers spin
/// for some 50 us after each run, which covers the gaps between the kernels of a program, then sleep.
/// </summary>
/// <remarks>
/// One 64-bit word holds the number of the run and how many chunks are left to claim, and a claim is a compare-and-swap on the whole
/// of it: a worker that wakes late, in a later run than it saw, can claim nothing by mistake. A claim that succeeds proves that the
/// run was still on, since a run ends only when all its chunks are done; hence what the worker read of the run before belongs to it.
/// (Counting up to a number of chunks held elsewhere would not do: a late worker could see the old count and the new number.)
/// Run allocates nothing and, with one thread, takes no lock and touches no shared word but its guard against nested use.
/// </remarks>
public sealed class WorkerPool : IDisposable
{
    private static readonly long SpinTicks = Stopwatch.Frequency / 20_000;

    // A counter a cache line, so that workers do not slow each other by counting.
    private const int Stride = 16;

    private readonly Thread[] threads;
    private readonly long[] executed;
    private readonly object sleep = new();
    private readonly object finish = new();

    private IChunkedWork? work;
    private int chunks;
    private long claim;             // upper half: number of the run; lower half: chunks left to claim
    private int done;               // chunks of this run that have ended
    private int sleeping;           // workers that sleep, or are about to
    private int callerSleeps;
    private int running;
    private volatile bool stop;
    private Exception? failure;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">Number of workers including the caller, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are none.</exception>
    public WorkerPool(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        executed = new long[(threads + 1) * Stride];
        this.threads = new Thread[threads - 1];
        for (int i = 0; i < this.threads.Length; i++)
        {
            int worker = i + 1;
            this.threads[i] = new Thread(() => Serve(worker)) { IsBackground = true, Name = $"Engine worker {worker}" };
            this.threads[i].Start();
        }
    }

    /// <summary>Number of workers, the caller included.</summary>
    public int Threads => threads.Length + 1;

    /// <summary>A snapshot of how many chunks each worker has run since the pool began.</summary>
    public long[] ChunksByWorker
    {
        get
        {
            long[] snapshot = new long[Threads];
            for (int i = 0; i < snapshot.Length; i++) snapshot[i] = Volatile.Read(ref executed[(i + 1) * Stride]);
            return snapshot;
        }
    }

    /// <summary>Runs all chunks and returns when the last has ended. What the chunks wrote is visible to the caller.</summary>
    /// <exception cref="InvalidOperationException">The pool is running already: a chunk, or another thread, called Run.</exception>
    /// <exception cref="ObjectDisposedException">The pool is disposed.</exception>
    /// <remarks>An exception in a chunk ends the run: chunks not yet begun are skipped, those begun are waited for, and the first
    /// exception is thrown here. The pool remains usable.</remarks>
    public void Run(IChunkedWork work, int chunks)
    {
        ArgumentNullException.ThrowIfNull(work);
        ArgumentOutOfRangeException.ThrowIfNegative(chunks);
        ObjectDisposedException.ThrowIf(stop, this);
        if (Interlocked.Exchange(ref running, 1) != 0)
            throw new InvalidOperationException("the worker pool is running already: a chunk of work may not call Run on its own pool, nor may two threads at once");
        try
        {
            if (threads.Length == 0 || chunks <= 1)
            {
                for (int chunk = 0; chunk < chunks; chunk++)
                {
                    work.RunChunk(chunk, 0);
                    executed[Stride]++;
                }
                return;
            }
            RunShared(work, chunks);
        }
        finally
        {
            Volatile.Write(ref running, 0);
        }
    }

    private void RunShared(IChunkedWork work, int chunks)
    {
        this.work = work;
        this.chunks = chunks;
        done = 0;
        failure = null;
        uint run = (uint)(claim >>> 32) + 1;
        // The full fence publishes the work, and orders this write before the look at who sleeps; sleepers do the reverse.
        Interlocked.Exchange(ref claim, ((long)run << 32) | (uint)chunks);
        if (Volatile.Read(ref sleeping) > 0)
            lock (sleep) Monitor.PulseAll(sleep);

        Execute(run, 0);
        AwaitEnd(chunks);

        this.work = null;
        if (failure is { } exception) ExceptionDispatchInfo.Throw(exception);
    }

    /// <summary>Claims and runs chunks of one run until there are none.</summary>
    private void Execute(uint run, int worker)
    {
        IChunkedWork? work = Volatile.Read(ref this.work);
        int chunks = Volatile.Read(ref this.chunks);
        while (true)
        {
            long seen = Volatile.Read(ref claim);
            int left = (int)seen;
            if ((uint)(seen >>> 32) != run || left == 0) return;
            if (Interlocked.CompareExchange(ref claim, seen - 1, seen) != seen) continue;
            try
            {
                if (Volatile.Read(ref failure) is null) work!.RunChunk(chunks - left, worker);
            }
#pragma warning disable CA1031 // Whatever a chunk throws is thrown again to the caller of Run.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Interlocked.CompareExchange(ref failure, e, null);
            }
            executed[(worker + 1) * Stride]++;
            // After this the run may end and the next begin: nothing of this run is touched below.
            if (Interlocked.Increment(ref done) == chunks && Volatile.Read(ref callerSleeps) != 0)
                lock (finish) Monitor.PulseAll(finish);
        }
    }

    private void AwaitEnd(int chunks)
    {
        if (Volatile.Read(ref done) == chunks) return;
        long until = Stopwatch.GetTimestamp() + SpinTicks;
        while (Stopwatch.GetTimestamp() < until)
        {
            Thread.SpinWait(8);
            if (Volatile.Read(ref done) == chunks) return;
        }
        lock (finish)
        {
            Interlocked.Exchange(ref callerSleeps, 1);
            while (Volatile.Read(ref done) != chunks) Monitor.Wait(finish);
            callerSleeps = 0;
        }
    }

    private void Serve(int worker)
    {
        uint last = 0;
        while (true)
        {
            uint run = AwaitRun(last);
            if (stop) return;
            last = run;
            Execute(run, worker);
        }
    }

    /// <summary>The number of the run that follows <paramref name="last"/>; any number once the pool stops.</summary>
    private uint AwaitRun(uint last)
    {
        long until = Stopwatch.GetTimestamp() + SpinTicks;
        while (Stopwatch.GetTimestamp() < until)
        {
            uint run = Current();
            if (run != last || stop) return run;
            Thread.SpinWait(8);
        }
        lock (sleep)
        {
            Interlocked.Increment(ref sleeping);
            uint run;
            while ((run = Current()) == last && !stop) Monitor.Wait(sleep);
            Interlocked.Decrement(ref sleeping);
            return run;
        }
    }

    private uint Current() => (uint)(Volatile.Read(ref claim) >>> 32);

    /// <summary>Ends the threads and waits for them. Run must not be under way.</summary>
    public void Dispose()
    {
        if (stop) return;
        if (Volatile.Read(ref running) != 0) throw new InvalidOperationException("the worker pool is running: it cannot be disposed now");
        stop = true;
        lock (sleep) Monitor.PulseAll(sleep);
        foreach (Thread thread in threads) thread.Join();
    }
}
