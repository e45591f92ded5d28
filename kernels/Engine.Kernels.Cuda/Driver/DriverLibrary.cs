using System.Runtime.InteropServices;
using static Engine.Kernels.Cuda.Driver.CudaDriver;

namespace Engine.Kernels.Cuda.Driver;

/// <summary>Finds and starts the driver's library: once in a process, the first time it is asked for.</summary>
internal static class DriverLibrary
{
    /// <summary>The oldest driver that has all functions that are used (cuGraphInstantiateWithFlags): 11.4.</summary>
    internal const int NeededVersion = 11040;

    /// <summary>Names the library to load in place of the system's.</summary>
    internal const string PathVariable = "ENGINE_CUDA_DRIVER";

    private static readonly Lazy<(nint Handle, string? Failure)> Loaded = new(() => Load(Environment.GetEnvironmentVariable(PathVariable)));
    private static readonly Lazy<string?> Started = new(Start);

    /// <summary>The library.</summary>
    /// <exception cref="DeviceException">There is none.</exception>
    internal static nint Handle => Loaded.Value is (var handle, null) ? handle : throw new DeviceException(Loaded.Value.Failure);

    /// <summary>Why CUDA cannot be used here; null: it can, and there is at least one GPU.</summary>
    internal static string? Failure => Started.Value;

    /// <summary>Makes the driver's functions ready.</summary>
    /// <exception cref="DeviceException">No library, too old a driver, or no GPU: the message says which, and what to do.</exception>
    internal static void Need()
    {
        if (Failure is { } failure) throw new DeviceException(failure);
    }

    /// <summary>Loads the library at a path, or the system's if the path is null or empty.</summary>
    internal static (nint Handle, string? Failure) Load(string? path)
    {
        if (!string.IsNullOrEmpty(path))
            return NativeLibrary.TryLoad(path, out nint named) ? (named, null)
                : (0, $"no CUDA driver: {PathVariable} names {path}, which {(File.Exists(path) ? "is not a library that this process can load" : "does not exist")}");
        string[] candidates = OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"];
        foreach (string candidate in candidates)
            if (NativeLibrary.TryLoad(candidate, out nint handle)) return (handle, null);
        return (0, $"no CUDA driver: looked for {string.Join(" and ", candidates)}; install NVIDIA's driver, or name its library in {PathVariable}");
    }

    /// <summary>What is wrong with a driver of this version; null: nothing.</summary>
    internal static string? VersionFailure(int found) =>
        found >= NeededVersion ? null : $"the CUDA driver is too old: it supports CUDA {Text(found)}, needed is {Text(NeededVersion)} (driver 470 or newer); update NVIDIA's driver";

    /// <summary>A version as people write it: 12040 is 12.4.</summary>
    internal static string Text(int version) => $"{version / 1000}.{version % 1000 / 10}";

    private static string? Start()
    {
        if (Loaded.Value.Failure is { } failure) return failure;
        try
        {
            CudaError.Check(cuDriverGetVersion(out int version));
            if (VersionFailure(version) is { } old) return old;
            var status = cuInit(0);
            if (status == CudaStatus.NoDevice) return "no GPU: the CUDA driver is installed and finds no NVIDIA GPU (is it visible here: nvidia-smi, CUDA_VISIBLE_DEVICES, the container's settings?)";
            if (status == CudaStatus.SystemDriverMismatch) return "the CUDA driver's library and the kernel's module have different versions: restart the machine after an update of the driver";
            CudaError.Check(status, "cuInit");
            CudaError.Check(cuDeviceGetCount(out int count));
            return count > 0 ? null : "no GPU: the CUDA driver is installed and finds no NVIDIA GPU";
        }
        catch (EntryPointNotFoundException e)
        {
            return $"the CUDA driver's library lacks a function ({e.Message}): it is not NVIDIA's driver, or too old a one";
        }
        catch (DeviceException e)
        {
            return e.Message;
        }
    }
}
