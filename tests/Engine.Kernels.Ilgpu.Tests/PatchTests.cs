using System.Reflection;
using System.Runtime.CompilerServices;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Engine.Kernels.Ilgpu.Tests;

/// <summary>What is changed of ILGPU: each fails if a member that is touched is gone, or if ILGPU has come to do it itself.</summary>
public sealed class PatchTests
{
    [Fact]
    public void The_packages_are_the_ones_that_the_patches_were_made_for()
    {
        foreach (var type in new[] { typeof(Context), typeof(ILGPU.Algorithms.XMath) })
            Assert.StartsWith("1.5.3", type.Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_without_generic_pointers_can_be_declared_to_have_them()
    {
        var capabilities = new CLCapabilityContext(false, false, false, false, false);
        Assert.False(capabilities.GenericAddressSpace);
        Patches.PretendGenericPointers(capabilities);
        Assert.True(capabilities.GenericAddressSpace);
    }

    [Fact]
    public void The_text_of_an_OpenCL_kernel_is_changed_before_it_is_built()
    {
        var kernel = (CLCompiledKernel)RuntimeHelpers.GetUninitializedObject(typeof(CLCompiledKernel)); // one is made where there is OpenCL alone
        Patches.Source(kernel) = "text";
        Assert.Equal("text", kernel.Source);
        const string text = "typedef __generic float* f;";
        Assert.Equal("#pragma OPENCL FP_CONTRACT OFF\ntypedef global float* f;", Patches.PrepareOpenCl(text, "f"));
    }

    private static void MultiplyThenAdd(ArrayView<float> x, ArrayView<double> y)
    {
        int i = Grid.GlobalIndex.X;
        x[i] = x[i] * 3f + 1f;
        x[i + 1] = MathF.FusedMultiplyAdd(x[i], x[i + 2], MathF.Sqrt(x[i + 3])) - x[i + 4];
        y[i] = Math.FusedMultiplyAdd(y[i], y[i + 1], Math.Sqrt(y[i + 2])) * y[i + 3];
    }

    /// <summary>The compiler for GPUs works without one.</summary>
    [Fact]
    public void PTX_rounds_every_product_and_sum_and_has_the_fused_ones_that_are_asked_for()
    {
        using var backend = new PTXBackend(Accelerators.Context, CudaArchitecture.SM_80, CudaInstructionSet.ISA_70, null!);
        var kernel = (PTXCompiledKernel)backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(typeof(PatchTests).GetMethod(nameof(MultiplyThenAdd), BindingFlags.Static | BindingFlags.NonPublic)!), new KernelSpecialization());
        Assert.Matches(@"\b(mul|add|sub)\.f32\b", kernel.PTXAssembly); // else the patch is not needed any more
        Patches.Prepare(kernel);
        Assert.DoesNotMatch(@"\b(mul|add|sub)\.f(32|64)\b", kernel.PTXAssembly);
        Assert.DoesNotContain(".approx", kernel.PTXAssembly, StringComparison.Ordinal);
        foreach (string instruction in new[] { "mul.rn.f32", "add.rn.f32", "sub.rn.f32", "mul.rn.f64", "fma.rn.f32", "fma.rn.f64", "sqrt.rn.f32", "sqrt.rn.f64" }) Assert.Contains(instruction, kernel.PTXAssembly, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_do_not_depend_on_what_was_compiled_before() => Assert.Equal(
        "struct type_0; struct type_0_kernel { int field_0; }; F_1(view_12); L_2: goto L_3; L_3: goto L_2; Kernel_7()",
        Patches.Renumber("struct type_1958; struct type_1958_kernel { int field_0; }; F_31(view_12); L_18630: goto L_99; L_99: goto L_18630; Kernel_7()", "Kernel_7"));

    [OpenClFact]
    public void A_kernel_that_is_compiled_twice_has_one_text()
    {
        using IlgpuDevice first = new(Accelerator.OpenClName!), second = new(Accelerator.OpenClName!);
        string Text(IlgpuDevice device) => ((CLCompiledKernel)device.Cache.Load(KernelSource.Of(typeof(PatchTests), nameof(Sample)), "sample").Kernel.CompiledKernel).Source;
        Assert.Equal(Text(first), Text(second));
    }

    private static void Sample(int i, ArrayView<float> x, ArrayView<byte> y, int n)
    {
        for (int k = 0; k < n; k++)
            if (y[k] > i) x[i] += k;
    }

    [OpenClFact]
    public void Products_and_sums_are_not_contracted_on_OpenCL()
    {
        // (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24 in a fused multiply-add, 0 in two roundings.
        var device = Accelerator.OpenCl;
        var one = TensorType.Float([1]);
        float Of(Op op) => BitConverter.ToSingle(OpCheck.Run(device, op, [one, one], [BitConverter.GetBytes(1.000244140625f), BitConverter.GetBytes(-1.00048828125f)])[0]);
        Assert.Equal(0f, Of(new Fused(2, [new(new Binary(BinaryKind.Multiply), [0, 0]), new(new Binary(BinaryKind.Add), [2, 1])])));
        Assert.Equal(5.9604645e-8f, Of(new Fused(2, [new(new Fma(), [0, 0, 1])])));
    }
}
