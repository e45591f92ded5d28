using System.Text;
using System.Text.RegularExpressions;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Xunit.Abstractions;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>The texts of every kernel that the op table makes, for GPUs that need not be here.</summary>
public sealed partial class TextTests(ITestOutputHelper output)
{
    /// <summary>Every kernel once, as a GPU gets it. A kernel for one number type is one for another where their keys differ.</summary>
    private static readonly Lazy<KernelSource[]> Sources = new(() =>
    {
        var device = Accelerator.Debugger;
        var sources = new Dictionary<string, KernelSource>();
        try
        {
            device.Schedule = AcceleratorKind.Gpu;
            foreach (var c in OpTable.Cases.Where(c => !c.Op.IsAlias))
            {
                var types = SampleData.Types(c);
                if (!IlgpuDevice.HasKernel(c.Op, types, c.Op.Infer(types))) continue;
                foreach (var launch in IlgpuKernels.Create(c.Op, types, c.Op.Infer(types), device).Launches) sources.TryAdd(launch.Source.Key, launch.Source);
            }
        }
        finally
        {
            device.Schedule = AcceleratorKind.Debugger;
        }
        return sources.Values.ToArray();
    });

    private static readonly Lazy<EntryPointDescription[]> Kernels = new(() => Array.ConvertAll(Sources.Value, s => EntryPointDescription.FromExplicitlyGroupedKernel(KernelCache.Write(s, AcceleratorKind.Gpu))));

    private static IEnumerable<CompiledKernel> Compile(Backend backend)
    {
        foreach (var kernel in Kernels.Value)
        {
            var compiled = backend.Compile(kernel, new KernelSpecialization());
            Patches.Prepare(compiled);
            yield return compiled;
        }
    }

    /// <summary>The PTX of a GPU, and the version of PTX that its first drivers take.</summary>
    private static string[] Ptx(int architecture)
    {
        var (name, set) = architecture switch { 75 => (CudaArchitecture.SM_75, CudaInstructionSet.ISA_65), 80 => (CudaArchitecture.SM_80, CudaInstructionSet.ISA_70), _ => (CudaArchitecture.SM_90, CudaInstructionSet.ISA_80) };
        using var backend = new PTXBackend(Accelerators.Context, name, set, null!);
        return Compile(backend).Select(k => ((PTXCompiledKernel)k).PTXAssembly).ToArray();
    }

    [GeneratedRegex(@"\b(mul|add|sub|mad|fma|div|sqrt|rcp)(\.ftz)?(\.full)?\.f(32|64)\b|\.approx|\.ftz")]
    private static partial Regex Inexact();

    [Theory]
    [InlineData(75)]
    [InlineData(80)]
    [InlineData(90)]
    public void PTX_states_how_it_rounds_and_approximates_nothing(int architecture)
    {
        var texts = Ptx(architecture);
        output.WriteLine($"{texts.Length} kernels for sm_{architecture}, {texts.Sum(t => t.Length):N0} characters");
        Assert.True(texts.Length > 100, $"only {texts.Length} kernels");
        for (int i = 0; i < texts.Length; i++)
            if (Inexact().Match(texts[i]) is { Success: true } match) Assert.Fail($"{Sources.Value[i].Name}: {match.Value} in{texts[i]}");
        Assert.Contains(texts, t => t.Contains("fma.rn.f32", StringComparison.Ordinal));
    }

    /// <summary>All kernels in one module.</summary>
    [PtxasFact]
    public void The_assembler_takes_every_text()
    {
        foreach (int architecture in new[] { 75, 80, 90 })
        {
            var module = new StringBuilder();
            int kernels = 0;
            foreach (string one in Ptx(architecture))
            {
                string text = one.Replace(".entry Kernel_", $".entry K{++kernels}_", StringComparison.Ordinal); // a name is that of the op
                int body = text.IndexOf(".address_size", StringComparison.Ordinal);
                body = text.IndexOf('\n', body) + 1;
                if (module.Length == 0) module.Append(text.AsSpan(0, body));
                module.Append(text.AsSpan(body));
            }
            if (Ptxas.Fails(module.ToString(), $"sm_{architecture}") is { } failure) Assert.Fail(failure);
        }
    }

    /// <summary>What is built on a device without generic pointers, made for one that has everything else.</summary>
    [Fact]
    public void OpenCL_contracts_nothing_and_has_no_generic_pointers()
    {
        var capabilities = new CLCapabilityContext(false, true, true, false, false);
        Patches.PretendGenericPointers(capabilities);
        using var backend = new CLBackend(Accelerators.Context, capabilities, CLDeviceVendor.Other, CLBackend.MinimumVersion);
        int generic = 0;
        foreach (var kernel in Kernels.Value)
        {
            var compiled = (CLCompiledKernel)backend.Compile(kernel, new KernelSpecialization());
            if (compiled.Source.Contains("__generic", StringComparison.Ordinal)) generic++;
            Patches.Prepare(compiled);
            Assert.StartsWith("#pragma OPENCL FP_CONTRACT OFF", compiled.Source, StringComparison.Ordinal);
            Assert.DoesNotContain("generic", compiled.Source, StringComparison.Ordinal);
            Assert.DoesNotContain("FP_CONTRACT ON", compiled.Source, StringComparison.Ordinal);
        }
        Assert.True(generic > 100, "ILGPU writes no generic pointers any more: the patch is not needed");
    }
}
