using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using System.Text.RegularExpressions;
using ILGPU.Backends;
using ILGPU.Backends.OpenCL;
using ILGPU.Backends.PTX;
using ILGPU.Frontend;
using ILGPU.Frontend.Intrinsic;
using ILGPU.IR.Values;
using ILGPU.Runtime;
using ILGPU.Runtime.OpenCL;

namespace Engine.Kernels.Ilgpu.Runtime;

/// <summary>
/// What ILGPU 1.5.3 needs before it runs our kernels with our bits everywhere: it looks for libraries under names that run-time packages do not install, has no fused multiply-add in its front
/// end, refuses OpenCL devices without generic pointers though its code needs none, lets compilers contract products and sums, and cannot leave a thread without an accelerator. Five private members are touched; a test fails if one is gone.
/// </summary>
internal static partial class Patches
{
    private static readonly Lazy<bool> Applied = new(Apply);

    /// <summary>Once for the process, before ILGPU looks for libraries.</summary>
    public static void Ensure() => _ = Applied.Value;

    private static bool Apply()
    {
        // The event can have any number of users; ILGPU's import resolver may be the host's. Asked last, after the names that ILGPU knows.
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) => name switch
        {
            "OpenCL" when NativeLibrary.TryLoad("libOpenCL.so.1", out nint library) => library,
            "cuda" when NativeLibrary.TryLoad("libcuda.so.1", out nint library) => library,
            _ => 0,
        };
        RemappedIntrinsics.AddRemapping(typeof(MathF).GetMethod(nameof(MathF.FusedMultiplyAdd), [typeof(float), typeof(float), typeof(float)])!,
            (ref InvocationContext context) => MultiplyAdd(ref context, nameof(FirstFloat)));
        RemappedIntrinsics.AddRemapping(typeof(Math).GetMethod(nameof(Math.FusedMultiplyAdd), [typeof(double), typeof(double), typeof(double)])!,
            (ref InvocationContext context) => MultiplyAdd(ref context, nameof(FirstDouble)));
        RemappedIntrinsics.AddRemapping(typeof(MathF).GetMethod(nameof(MathF.Sqrt), [typeof(float)])!, (ref InvocationContext context) => Root(ref context, nameof(SameFloat)));
        RemappedIntrinsics.AddRemapping(typeof(Math).GetMethod(nameof(Math.Sqrt), [typeof(double)])!, (ref InvocationContext context) => Root(ref context, nameof(SameDouble)));
        return true;
    }

    // The call becomes one of a function that returns its first argument, which is the result of the operation.

    private static void MultiplyAdd(ref InvocationContext context, string first)
    {
        context[0] = context.Builder.CreateArithmetic(context.Location, context[0], context[1], context[2], TernaryArithmeticKind.MultiplyAdd);
        context.Method = typeof(Patches).GetMethod(first)!;
    }

    private static void Root(ref InvocationContext context, string same)
    {
        context[0] = context.Builder.CreateArithmetic(context.Location, context[0], UnaryArithmeticKind.SqrtF);
        context.Method = typeof(Patches).GetMethod(same)!;
    }

    public static float FirstFloat(float a, float b, float c) => a;

    public static double FirstDouble(double a, double b, double c) => a;

    public static float SameFloat(float a) => a;

    public static double SameDouble(double a) => a;

    /// <summary>Lets ILGPU accept a device, which it refuses without generic pointers.</summary>
    public static void PretendGenericPointers(CLCapabilityContext capabilities) => SetGenericAddressSpace(capabilities, true);

    /// <summary>Changes a kernel's text before it is built: no contraction, and pointers of buffers instead of generic ones, which not every device has.</summary>
    public static void Prepare(CompiledKernel kernel)
    {
        if (kernel is CLCompiledKernel cl)
        {
            ref string source = ref Source(cl);
            source = PrepareOpenCl(source, kernel.Name);
        }
        else if (kernel is PTXCompiledKernel ptx)
        {
            ref string assembly = ref Assembly(ptx);
            assembly = Contractible().Replace(assembly, "$1.rn.$2"); // an explicit rounding is kept as it is
        }
    }

    /// <summary>The text of an OpenCL kernel as it is built.</summary>
    internal static string PrepareOpenCl(string source, string kernel) =>
        // After inlining, the only generic pointers are those of buffers: kernels here have no other memory.
        "#pragma OPENCL FP_CONTRACT OFF\n" + Renumber(source.Replace("__generic", "global", StringComparison.Ordinal), kernel);

    /// <summary>
    /// Drivers keep what they have built by its text, but ILGPU numbers types, labels and functions for the process, so the text would depend on what was compiled before. Here they are numbered
    /// in the order in which they appear.
    /// </summary>
    internal static string Renumber(string source, string kernel)
    {
        var numbers = new Dictionary<string, int>(StringComparer.Ordinal);
        return Numbered().Replace(source, match =>
        {
            if (match.Value == kernel || match.Groups[1].Value is "field" or "view") return match.Value; // these are the kernel's own
            if (!numbers.TryGetValue(match.Value, out int number)) numbers.Add(match.Value, number = numbers.Count);
            return string.Create(CultureInfo.InvariantCulture, $"{match.Groups[1].Value}_{number}");
        });
    }

    /// <summary>Leaves the thread without an accelerator, as ILGPU does when one is disposed.</summary>
    public static void Unbind(Accelerator current)
    {
        OnUnbind(current);
        SetCurrent(current, null);
    }

    [GeneratedRegex(@"\b([A-Za-z]\w*?)_([0-9]+)(?=\b|_kernel\b)")]
    private static partial Regex Numbered();

    [GeneratedRegex(@"\b(mul|add|sub)\.(f32|f64)\b")]
    private static partial Regex Contractible();

    [UnsafeAccessor(UnsafeAccessorKind.StaticMethod, Name = "set_Current")]
    private static extern void SetCurrent(Accelerator? type, Accelerator? value);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "OnUnbind")]
    private static extern void OnUnbind(Accelerator accelerator);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_GenericAddressSpace")]
    private static extern void SetGenericAddressSpace(CLCapabilityContext capabilities, bool value);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "<Source>k__BackingField")]
    internal static extern ref string Source(CLCompiledKernel kernel);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "<PTXAssembly>k__BackingField")]
    internal static extern ref string Assembly(PTXCompiledKernel kernel);
}
