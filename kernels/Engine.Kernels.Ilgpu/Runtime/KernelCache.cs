using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;

namespace System.Runtime.CompilerServices
{
    /// <summary>The runtime lets an assembly with this attribute use all members of the one it names: functions of ops are private structs.</summary>
    [AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
    internal sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
    {
        /// <summary>That assembly.</summary>
        public string AssemblyName { get; } = assemblyName;
    }
}

namespace Engine.Kernels.Ilgpu.Runtime
{
    /// <summary>An operand of a launch, as every type of view that a kernel may want.</summary>
    internal struct BoundView
    {
        public ArrayView<int> Words;
        public ArrayView<float> Floats;
        public ArrayView<ushort> Halves;
        public ArrayView<byte> Bytes;
    }

    /// <summary>Launches a kernel without boxes: its views and numbers by position.</summary>
    internal delegate void Launcher(Kernel kernel, AcceleratorStream queue, KernelConfig config, BoundView[] views, int[] numbers);

    /// <summary>A kernel that is loaded on a device.</summary>
    /// <param name="Kernel">ILGPU's.</param>
    /// <param name="Launch">Launches it.</param>
    /// <param name="Views">How many parameters are views.</param>
    internal sealed record LoadedKernel(Kernel Kernel, Launcher Launch, int Views)
    {
        /// <summary>Sizes of groups that it was launched with.</summary>
        public HashSet<int> Launched { get; } = [];
    }

    /// <summary>
    /// Compiles kernels, each once for a device's life. A kernel is a static method in an assembly made at run time, for ILGPU reads methods' IL and refuses dynamic methods. Its last parameter is the number of work-items.
    /// </summary>
    internal sealed class KernelCache(Accelerator accelerator, ListedAccelerator listed) : IDisposable
    {
        // A context's compiler is shared by its accelerators, and one failure spoils it until its cache is cleared.
        private static readonly ConditionalWeakTable<Context, Lock> Compiling = [];
        private static int _assemblies;

        private readonly Dictionary<string, LoadedKernel> _kernels = [];

        /// <summary>Kernels compiled.</summary>
        public int Count => _kernels.Count;

        /// <summary>The kernel of a source.</summary>
        /// <exception cref="DeviceException">It does not compile here.</exception>
        public LoadedKernel Load(KernelSource source, string op)
        {
            if (_kernels.TryGetValue(source.Key, out var known)) return known;
            lock (Compiling.GetOrCreateValue(accelerator.Context))
            {
                try
                {
                    var method = Write(source, listed.Kind);
                    var compiled = accelerator.GetBackend().Compile(EntryPointDescription.FromExplicitlyGroupedKernel(method), new KernelSpecialization());
                    Patches.Prepare(compiled);
                    var kernel = accelerator.LoadKernel(compiled);
                    var loaded = new LoadedKernel(kernel, MakeLauncher(kernel, source), source.Parameters.Count(p => p.IsGenericType));
                    _kernels.Add(source.Key, loaded);
                    return loaded;
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    accelerator.Context.ClearCache(ClearCacheMode.Everything);
                    throw new DeviceException($"op {op}: its kernel {source.Name} does not compile on device {listed.Name}: {IlgpuDevice.Text(e)}");
                }
            }
        }

        /// <summary>Unloads all kernels.</summary>
        public void Dispose()
        {
            foreach (var loaded in _kernels.Values) loaded.Kernel.Dispose();
            _kernels.Clear();
        }

        /// <summary>A kernel as a method, with the schedule of a kind of accelerator.</summary>
        internal static MethodInfo Write(KernelSource source, AcceleratorKind kind)
        {
            string name = $"engine_{source.Name}";
            var ignores = typeof(IgnoresAccessChecksToAttribute).GetConstructor([typeof(string)])!;
            var assembly = AssemblyBuilder.DefineDynamicAssembly(new AssemblyName($"Engine.Kernels.Ilgpu.Made{Interlocked.Increment(ref _assemblies)}"), AssemblyBuilderAccess.RunAndCollect,
                [new CustomAttributeBuilder(ignores, ["Engine.Kernels"]), new CustomAttributeBuilder(ignores, ["Engine.Kernels.Ilgpu"])]);
            var type = assembly.DefineDynamicModule("kernels").DefineType("Kernels", TypeAttributes.Public | TypeAttributes.Abstract | TypeAttributes.Sealed);
            var method = type.DefineMethod(name, MethodAttributes.Public | MethodAttributes.Static, typeof(void), [.. source.Parameters, typeof(int)]);
            var il = method.GetILGenerator();
            var index = il.DeclareLocal(typeof(int));
            if (kind == AcceleratorKind.Debugger) WriteRange(il, index, source);
            else WriteItem(il, index, source);
            return type.CreateType().GetMethod(name)!;
        }

        /// <summary>A work-item an element: what GPUs want, and what a compiler for a processor turns into vectors. A loop in it would not be.</summary>
        private static void WriteItem(ILGenerator il, LocalBuilder index, KernelSource source)
        {
            var inside = il.DefineLabel();
            il.Emit(OpCodes.Call, typeof(KernelCache).GetMethod(nameof(WorkItem))!);
            il.Emit(OpCodes.Stloc, index);
            il.Emit(OpCodes.Ldloc, index);
            il.Emit(OpCodes.Ldarg, source.Parameters.Length);
            il.Emit(OpCodes.Blt, inside);
            il.Emit(OpCodes.Ret);
            il.MarkLabel(inside);
            source.Write(il, index);
            il.Emit(OpCodes.Ret);
        }

        /// <summary>A thread a contiguous range, in one group: the debugger takes tens of microseconds for a group, whatever it does.</summary>
        private static void WriteRange(ILGenerator il, LocalBuilder index, KernelSource source)
        {
            var end = il.DeclareLocal(typeof(int));
            Label body = il.DefineLabel(), check = il.DefineLabel();
            il.Emit(OpCodes.Ldarg, source.Parameters.Length);
            il.Emit(OpCodes.Call, typeof(KernelCache).GetMethod(nameof(RangeStart))!);
            il.Emit(OpCodes.Stloc, index);
            il.Emit(OpCodes.Ldarg, source.Parameters.Length);
            il.Emit(OpCodes.Call, typeof(KernelCache).GetMethod(nameof(RangeEnd))!);
            il.Emit(OpCodes.Stloc, end);
            il.Emit(OpCodes.Br, check);
            il.MarkLabel(body);
            source.Write(il, index);
            il.Emit(OpCodes.Ldloc, index);
            il.Emit(OpCodes.Ldc_I4_1);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Stloc, index);
            il.MarkLabel(check);
            il.Emit(OpCodes.Ldloc, index);
            il.Emit(OpCodes.Ldloc, end);
            il.Emit(OpCodes.Blt, body);
            il.Emit(OpCodes.Ret);
        }

        /// <summary>The work-item's number.</summary>
        public static int WorkItem() => Grid.IdxX * Group.DimX + Group.IdxX;

        /// <summary>Where the thread's range of n work-items begins.</summary>
        public static int RangeStart(int n) => (int)((long)n * Group.IdxX / Group.DimX);

        /// <summary>Where it ends.</summary>
        public static int RangeEnd(int n) => (int)((long)n * (Group.IdxX + 1) / Group.DimX);

        private static Launcher MakeLauncher(Kernel kernel, KernelSource source)
        {
            var method = new DynamicMethod("launch", null, [typeof(Kernel), typeof(AcceleratorStream), typeof(KernelConfig), typeof(BoundView[]), typeof(int[])], typeof(KernelCache).Module, skipVisibility: true);
            var il = method.GetILGenerator();
            il.Emit(OpCodes.Ldarg_0);
            il.Emit(OpCodes.Ldarg_1);
            il.Emit(OpCodes.Ldarg_2);
            int views = 0, numbers = 0;
            foreach (var parameter in source.Parameters.Append(typeof(int)))
            {
                if (parameter.IsGenericType)
                {
                    il.Emit(OpCodes.Ldarg_3);
                    il.Emit(OpCodes.Ldc_I4, views++);
                    il.Emit(OpCodes.Ldelema, typeof(BoundView));
                    il.Emit(OpCodes.Ldfld, typeof(BoundView).GetFields().Single(f => f.FieldType == parameter));
                    continue;
                }
                il.Emit(OpCodes.Ldarg, 4);
                il.Emit(OpCodes.Ldc_I4, numbers++);
                il.Emit(OpCodes.Ldelem_I4);
                if (parameter == typeof(float)) il.Emit(OpCodes.Call, typeof(BitConverter).GetMethod(nameof(BitConverter.Int32BitsToSingle))!);
                else if (parameter == typeof(ushort)) il.Emit(OpCodes.Conv_U2);
                else if (parameter == typeof(byte)) il.Emit(OpCodes.Conv_U1);
            }
            il.Emit(OpCodes.Call, kernel.Launcher!);
            il.Emit(OpCodes.Ret);
            return method.CreateDelegate<Launcher>();
        }
    }
}
