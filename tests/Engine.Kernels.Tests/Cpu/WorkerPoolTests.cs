using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu;

public sealed class WorkerPoolTests
{
    private sealed class Work(Action<int, int> action) : IChunkedWork
    {
        public void RunChunk(int chunk, int worker) => action(chunk, worker);
    }

    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(8)]
    public void Every_chunk_runs_once(int threads)
    {
        using var pool = new WorkerPool(threads);
        int[] hits = new int[257];
        int badWorkers = 0;
        var work = new Work((chunk, worker) =>
        {
            Interlocked.Increment(ref hits[chunk]);
            if (worker < 0 || worker >= threads) Interlocked.Increment(ref badWorkers);
        });
        long total = 0;
        for (int chunks = 0; chunks <= hits.Length; chunks++)
        {
            Array.Clear(hits);
            pool.Run(work, chunks);
            for (int i = 0; i < hits.Length; i++) Assert.Equal(i < chunks ? 1 : 0, hits[i]);
            total += chunks;
        }
        Assert.Equal(0, badWorkers);
        Assert.Equal(threads, pool.Threads);
        Assert.Equal(total, pool.ChunksByWorker.Sum());
    }

    [Fact]
    public void All_workers_take_part()
    {
        using var pool = new WorkerPool(2);
        // Two chunks that wait for each other can only end if two threads run them.
        using var barrier = new Barrier(2);
        for (int i = 0; i < 20; i++)
            pool.Run(new Work((_, _) => Assert.True(barrier.SignalAndWait(TimeSpan.FromSeconds(20)))), 2);
        Assert.Equal([20L, 20L], pool.ChunksByWorker);
    }

    // Runs too short for a worker to arrive in time are the ones in which a late worker could take a chunk of the next run.
    [Theory, InlineData(2), InlineData(4)]
    public void A_hundred_thousand_tiny_runs_lose_and_repeat_nothing(int threads)
    {
        using var pool = new WorkerPool(threads);
        long sum = 0, expected = 0;
        var odd = new Work((chunk, _) => Interlocked.Add(ref sum, chunk + 1));
        var even = new Work((chunk, _) => Interlocked.Add(ref sum, 1_000_000L * (chunk + 1)));
        for (int i = 0; i < 100_000; i++)
        {
            int chunks = 2 + i % 7 * (i % 3);
            pool.Run(i % 2 == 0 ? even : odd, chunks);
            expected += (i % 2 == 0 ? 1_000_000L : 1L) * chunks * (chunks + 1) / 2;
            if (Volatile.Read(ref sum) != expected) Assert.Fail($"run {i}: {sum}, not {expected}");
        }
    }

    [Fact]
    public void Sleeping_workers_are_woken()
    {
        using var pool = new WorkerPool(3);
        using var barrier = new Barrier(3);
        for (int i = 0; i < 30; i++)
        {
            pool.Run(new Work((_, _) => Assert.True(barrier.SignalAndWait(TimeSpan.FromSeconds(20)))), 3);
            Thread.Sleep(i % 3);
        }
    }

    [Fact]
    public void The_caller_sleeps_until_a_slow_worker_is_done()
    {
        using var pool = new WorkerPool(2);
        using var barrier = new Barrier(2);
        int done = 0;
        pool.Run(new Work((_, worker) =>
        {
            barrier.SignalAndWait();
            if (worker == 1) Thread.Sleep(50);
            Interlocked.Increment(ref done);
        }), 2);
        Assert.Equal(2, done);
    }

    [Theory, InlineData(1), InlineData(2), InlineData(4)]
    public void The_first_exception_reaches_the_caller_and_the_pool_goes_on(int threads)
    {
        using var pool = new WorkerPool(threads);
        int running = 0;
        for (int round = 0; round < 200; round++)
        {
            int bad = round % 50;
            var error = Assert.Throws<ArithmeticException>(() => pool.Run(new Work((chunk, _) =>
            {
                Interlocked.Increment(ref running);
                try
                {
                    if (chunk == bad) throw new ArithmeticException($"chunk {chunk}");
                }
                finally
                {
                    Interlocked.Decrement(ref running);
                }
            }), 50));
            Assert.Equal($"chunk {bad}", error.Message);
            Assert.Equal(0, running);
            int count = 0;
            pool.Run(new Work((_, _) => Interlocked.Increment(ref count)), 9);
            Assert.Equal(9, count);
        }
    }

    [Theory, InlineData(1), InlineData(2)]
    public void Nested_use_is_refused(int threads)
    {
        using var pool = new WorkerPool(threads);
        var inner = new Work((_, _) => { });
        foreach (int chunks in new[] { 1, 5 })
        {
            var error = Assert.Throws<InvalidOperationException>(() => pool.Run(new Work((_, _) => pool.Run(inner, 2)), chunks));
            Assert.Contains("running already", error.Message, StringComparison.Ordinal);
        }
        Assert.Throws<InvalidOperationException>(() => pool.Run(new Work((_, _) => pool.Dispose()), 2));
        pool.Run(inner, 3);
    }

    [Theory, InlineData(1), InlineData(2)]
    public void A_run_allocates_nothing(int threads)
    {
        using var pool = new WorkerPool(threads);
        var work = new Work((_, _) => { });
        for (int i = 0; i < 100; i++) pool.Run(work, 4);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) pool.Run(work, 4);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Disposing_ends_the_threads_and_later_runs_are_refused()
    {
        for (int i = 0; i < 50; i++)
        {
            var pool = new WorkerPool(1 + i % 4);
            if (i % 2 == 0) pool.Run(new Work((_, _) => { }), 3);
            pool.Dispose();
            pool.Dispose();
            Assert.Throws<ObjectDisposedException>(() => pool.Run(new Work((_, _) => { }), 1));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(0));
    }
}
