namespace Engine.Kernels.Cpu;
/// <summary>Work in chunks.</summary>
public interface IChunkedWork
{
    /// <summary>Runs a chunk.</summary>
    void RunChunk(int chunk, int worker);
}
/// <summary>Pool.</summary>
public sealed class WorkerPool(int threads) : IDisposable
{
    /// <summary>Run.</summary>
    public void Run(IChunkedWork work, int chunks) { for (int i = 0; i < chunks; i++) work.RunChunk(i, 0); _ = threads; }
    /// <inheritdoc/>
    public void Dispose() { }
}
