using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Engine.Kernels.Cpu;

/// <summary>Work cut into independent chunks.</summary>
public interface IChunkedWork
{
    /// <summary>Runs one chunk.</summary>
    /// <param name="chunk">Which.</param>
    /// <param name="worker">The running thread, 0 being the caller.</param>
    void RunChunk(int chunk, int worker);
}

/// <summary>
/// A fixed set of threads, the caller's among them, that take chunks from a shared counter. Waiting threads spin for a moment, because the next kernel
/// comes within microseconds, and then park. Results cannot depend on who runs what: chunks write disjoint memory.
/// </summary>
public sealed class WorkerPool : IDisposable
{
    private const int SpinsBeforePark = 4000;

    private readonly Worker[] _workers;
    private readonly PaddedCounter[] _ran;
    private IChunkedWork? _work;
    private int _chunks;
    private PaddedCounter _next, _pending, _generation;
    private ExceptionDispatchInfo? _failure;
    private int _busy;
    private volatile bool _stop;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">Threads that compute, the caller included.</param>
    public WorkerPool(int threads)
    {
        if (threads < 1) throw new ArgumentOutOfRangeException(nameof(threads), threads, "expected at least 1 thread");
        _ran = new PaddedCounter[threads];
        _workers = new Worker[threads - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            var worker = _workers[i] = new Worker(i + 1);
            worker.Thread = new Thread(() => Serve(worker)) { IsBackground = true, Name = $"engine-worker-{i + 1}" };
            worker.Thread.Start();
        }
    }

    /// <summary>Chunks each thread has run so far, the caller's first.</summary>
    public long[] ChunksByWorker => Array.ConvertAll(_ran, c => Volatile.Read(ref c.Value));

    /// <summary>Runs all chunks and returns when they are done. One call at a time, and not from inside a chunk.</summary>
    /// <exception cref="InvalidOperationException">The pool is running already.</exception>
    public void Run(IChunkedWork work, int chunks)
    {
        if (Interlocked.Exchange(ref _busy, 1) != 0) throw new InvalidOperationException("the worker pool is running: programs of one device take turns, and chunks cannot start work of their own");
        try
        {
            if (_workers.Length == 0 || chunks == 1)
            {
                for (int i = 0; i < chunks; i++) work.RunChunk(i, 0);
                _ran[0].Value += chunks;
                return;
            }
            (_work, _chunks, _next.Value, _failure) = (work, chunks, 0, null);
            Volatile.Write(ref _pending.Value, _workers.Length);
            Interlocked.Increment(ref _generation.Value);
            foreach (var worker in _workers)
                if (Volatile.Read(ref worker.Parked) != 0) worker.Wake.Set();
            TakeChunks(0);
            // Every worker reports for every call, so none can meet the counters of the next one.
            var spin = new SpinWait();
            while (Volatile.Read(ref _pending.Value) != 0) spin.SpinOnce(sleep1Threshold: -1);
            _work = null;
            _failure?.Throw();
        }
        finally { Volatile.Write(ref _busy, 0); }
    }

    private void TakeChunks(int worker)
    {
        long ran = 0;
        try
        {
            for (long chunk; (chunk = Interlocked.Increment(ref _next.Value) - 1) < _chunks; ran++) _work!.RunChunk((int)chunk, worker);
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(e), null);
            Interlocked.Exchange(ref _next.Value, _chunks); // the others stop after their current chunk
        }
        Volatile.Write(ref _ran[worker].Value, _ran[worker].Value + ran);
    }

    private void Serve(Worker self)
    {
        long seen = 0;
        while (true)
        {
            for (int spins = 0; Volatile.Read(ref _generation.Value) == seen && !_stop; spins++)
            {
                if (spins < SpinsBeforePark)
                {
                    Thread.SpinWait(8);
                    continue;
                }
                // Announce first, look again, then sleep: a call in between either sees the announcement or is seen.
                Interlocked.Exchange(ref self.Parked, 1);
                if (Volatile.Read(ref _generation.Value) == seen && !_stop) self.Wake.WaitOne();
                Interlocked.Exchange(ref self.Parked, 0);
                spins = 0;
            }
            if (_stop) return;
            seen++;
            TakeChunks(self.Index);
            Interlocked.Decrement(ref _pending.Value);
        }
    }

    /// <summary>Stops and joins the threads.</summary>
    public void Dispose()
    {
        _stop = true;
        foreach (var worker in _workers) worker.Wake.Set();
        foreach (var worker in _workers)
        {
            worker.Thread.Join();
            worker.Dispose();
        }
    }

    private sealed class Worker(int index) : IDisposable
    {
        public readonly int Index = index;
        public readonly AutoResetEvent Wake = new(false);
        public Thread Thread = null!;
        public int Parked;

        public void Dispose() => Wake.Dispose();
    }

    /// <summary>A counter alone in its cache lines, so that threads do not slow each other by writing neighbours.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct PaddedCounter
    {
        [FieldOffset(128)] public long Value;
    }
}
