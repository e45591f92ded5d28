using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests.Cpu;

public class WorkerPoolTests
{
    private sealed class Count(int chunks, Action<int, int>? also = null) : IChunkedWork
    {
        public readonly int[] Ran = new int[chunks];

        public void RunChunk(int chunk, int worker)
        {
            Interlocked.Increment(ref Ran[chunk]);
            also?.Invoke(chunk, worker);
        }
    }

    [Theory]
    [InlineData(1, 20_000)]
    [InlineData(2, 20_000)]
    [InlineData(5, 500)] // more threads than many machines have cores: slow, and a different interleaving
    public void Every_chunk_runs_once_in_many_short_calls(int threads, int calls)
    {
        using var pool = new WorkerPool(threads);
        for (int call = 0; call < calls; call++)
        {
            var work = new Count(call % 9);
            pool.Run(work, work.Ran.Length);
            Assert.All(work.Ran, n => Assert.Equal(1, n));
        }
        Assert.Equal(Enumerable.Range(0, calls).Sum(c => c % 9), pool.ChunksByWorker.Sum());
    }

    [Fact]
    public void Every_thread_takes_part()
    {
        using var pool = new WorkerPool(3);
        pool.Run(new Count(300, (_, _) => Thread.Sleep(1)), 300);
        Assert.All(pool.ChunksByWorker, n => Assert.True(n > 10));
        Thread.Sleep(50); // parked by now
        pool.Run(new Count(300, (_, _) => Thread.Sleep(1)), 300);
        Assert.All(pool.ChunksByWorker, n => Assert.True(n > 20));
    }

    [Fact]
    public void An_exception_reaches_the_caller_and_the_pool_lives_on()
    {
        using var pool = new WorkerPool(3);
        for (int i = 0; i < 100; i++)
        {
            var e = Assert.Throws<InvalidOperationException>(() => pool.Run(new Count(50, (chunk, _) =>
            {
                if (chunk == 20) throw new InvalidOperationException("chunk 20");
            }), 50));
            Assert.Equal("chunk 20", e.Message);
        }
        var work = new Count(10);
        pool.Run(work, 10);
        Assert.All(work.Ran, n => Assert.Equal(1, n));
    }

    [Fact]
    public void Work_inside_work_is_refused()
    {
        using var pool = new WorkerPool(2);
        Assert.Contains("take turns", Assert.Throws<InvalidOperationException>(() => pool.Run(new Count(4, (_, _) => pool.Run(new Count(1), 1)), 4)).Message, StringComparison.Ordinal);
    }
}
