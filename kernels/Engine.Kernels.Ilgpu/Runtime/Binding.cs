using ILGPU.Runtime;

namespace Engine.Kernels.Ilgpu.Runtime;

/// <summary>The thread has an accelerator until the binding is disposed; then it has what it had before, none included. ILGPU's own binding leaves its accelerator to a thread that had none.</summary>
internal readonly ref struct Binding
{
    private readonly Accelerator? _before;

    /// <summary>Binds an accelerator, or remembers what is bound now.</summary>
    public Binding(Accelerator? accelerator)
    {
        _before = Accelerator.Current;
        accelerator?.Bind();
    }

    public void Dispose()
    {
        if (_before is { IsDisposed: false }) _before.Bind();
        else if (Accelerator.Current is { } current) Patches.Unbind(current);
    }
}
