using Engine.Algorithms.Training;
using Engine.Autodiff;
using Engine.Interop.Safetensors;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

public class CheckpointTests
{
    [Fact]
    public void Every_type_of_variable_comes_back_and_another_type_is_refused()
    {
        string run = Directory.CreateTempSubdirectory("engine-checkpoint").FullName;
        try
        {
            using var device = new CpuDevice();
            using var state = new State(device);
            state.Add("floats", [3], [1f, -2, 0.5f]);
            state.Add("ints", [2], [7, -1]);
            state.Add("images", [2, 2], (ReadOnlySpan<byte>)[0, 200, 255, 3]);
            state.AddZeros("flags", TensorType.Boolean([2]));
            state.Write("flags", (ReadOnlySpan<byte>)[1, 0]);
            var expected = state.Variables.ToDictionary(v => v.Name, v => state.ReadBytes(v.Name));
            Checkpoint.Write(run, 1, state);
            string path = Checkpoint.Find(run, "last").Path;
            Assert.Equal(SafetensorsType.U8, SafetensorsFile.Read(path)["images"].Type);
            foreach (var variable in state.Variables) state.WriteBytes(variable.Name, new byte[variable.Type.Bytes]);
            Checkpoint.Read(path, state);
            foreach (var (name, bytes) in expected) Assert.Equal(bytes, state.ReadBytes(name));

            using var other = new State(device);
            other.AddZeros("images", TensorType.Boolean([2, 2]));
            Assert.Contains("images", Assert.Throws<Interop.InteropFormatException>(() => Checkpoint.Read(path, other)).Message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(run, true);
        }
    }
}
