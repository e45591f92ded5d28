using System.Runtime.InteropServices;
using Engine.Kernels.Cpu;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>Sorts of what the op table does not have: equal numbers, NaN, zeros of both signs, long rows; and indices outside of a table.</summary>
public sealed class IndexTests
{
    private static byte[] Bytes<T>(params T[] values) where T : unmanaged => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static void Sorts(IlgpuDevice device)
    {
        using CpuDevice processor = new();
        foreach (Shape shape in new Shape[] { [1], [2, 64], [3, 1000], [1, 3001] })
        {
            var stream = new PhiloxStream(1, "sorts");
            float[] some = [0f, -0f, 1f, -1f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 2f];
            byte[] x = Bytes(Enumerable.Range(0, (int)shape.Elements).Select(_ => some[stream.NextInt(some.Length)]).ToArray());
            foreach (bool descending in new[] { false, true })
                Assert.Equal(OpCheck.Run(processor, new Sort(descending), [TensorType.Float(shape)], [x]), OpCheck.Run(device, new Sort(descending), [TensorType.Float(shape)], [x]));
        }
    }

    /// <summary>Equal numbers keep their order and NaN comes last, as on the processor.</summary>
    [Fact]
    public void Sorts_are_stable() => Sorts(Accelerator.Debugger);

    [OpenClFact]
    public void Sorts_are_stable_on_OpenCL() => Sorts(Accelerator.OpenCl);

    /// <summary>A device cannot throw: what is read outside a table is no number, what is written there is left out.</summary>
    [Fact]
    public void Indices_outside_a_table_read_nothing_and_write_nothing()
    {
        var device = Accelerator.Debugger;
        TensorType table = TensorType.Float([3, 1]), indices = TensorType.Int([4]), rows = TensorType.Float([4, 1]);
        byte[] x = Bytes(1f, 2f, 3f), at = Bytes(-1, 2, 3, int.MaxValue), y = Bytes(5f, 6f, 7f, 8f);
        Assert.Equal([float.NaN, 3f, float.NaN, float.NaN], MemoryMarshal.Cast<byte, float>(OpCheck.Run(device, new Gather(), [table, indices], [x, at])[0]).ToArray());
        Assert.Equal(Bytes(1f, 2f, 6f), OpCheck.Run(device, new SetRows(), [table, indices, rows], [x, at, y])[0]);
        Assert.Equal(Bytes(0f, 0f, 6f), OpCheck.Run(device, new ScatterAdd(3), [indices, rows], [at, y])[0]);
    }
}
