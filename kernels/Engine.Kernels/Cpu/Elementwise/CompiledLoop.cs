using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>An input of a compiled loop.</summary>
/// <param name="Type">Element type.</param>
/// <param name="Repeated">One element for the whole run.</param>
internal readonly record struct LoopOperand(DType Type, bool Repeated);

/// <summary>A step of a compiled loop.</summary>
/// <param name="Op">An elementwise op.</param>
/// <param name="From">Element type of its first argument.</param>
/// <param name="To">Element type of its result.</param>
/// <param name="Arguments">Numbers of values: the operands come first, then the steps' results.</param>
internal readonly record struct LoopStep(Op Op, DType From, DType To, Dims Arguments);

/// <summary>
/// A fused expression as one loop, compiled at run time from the functions its ops run by themselves, so that what lies between the steps stays in registers and every operand is read once. Every step is the same
/// function of the same lanes, so the bits are those of the steps run one after another. Where no code can be made at run time (NativeAOT) there is none, and the steps run one after another.
/// </summary>
internal sealed unsafe class CompiledLoop
{
    // From here on it pays to begin with the elements before an output's cache line.
    private const int AlignFrom = 512, BufferBytes = 64;

    private static readonly ConcurrentDictionary<string, CompiledLoop?> Loops = new();
    private static readonly int Lanes = (int)Simd.Best / 32;

    private delegate void Body(byte** operands, nint n);

    private readonly Body _body;
    private readonly int[] _sizes; // of an element of every operand and of the output; 0: it does not move

    private CompiledLoop(Body body, LoopOperand[] operands, DType output)
    {
        _body = body;
        _sizes = [.. operands.Select(o => o.Repeated ? 0 : o.Type.Bytes()), output.Bytes()];
        // The machine code is made at the first call: now, and not while somebody waits for a result.
        byte* nothing = stackalloc byte[BufferBytes];
        byte** places = stackalloc byte*[_sizes.Length];
        for (int i = 0; i < _sizes.Length; i++) places[i] = nothing;
        _body(places, 0);
    }

    /// <summary>The loop of an expression whose last step's result comes out; null if a step has no function over lanes, if several are long (exp, tanh and the like), or if no code can be made. Equal expressions share one.</summary>
    public static CompiledLoop? Of(LoopOperand[] operands, LoopStep[] steps)
    {
        if (!RuntimeFeature.IsDynamicCodeCompiled) return null;
        string key = string.Join(", ", operands) + "; " + string.Join("; ", steps.Select(s => $"{s.Op} {s.From} {s.Arguments}"));
        if (Loops.TryGetValue(key, out var loop)) return loop;
        var body = Simd.Dispatch(Simd.Best, new Compilation(operands, steps)).Result;
        return Loops.GetOrAdd(key, body is null ? null : new CompiledLoop(body, operands, steps[^1].To));
    }

    private struct Compilation(LoopOperand[] operands, LoopStep[] steps) : ILaneWork
    {
        public Body? Result;

        public void Run<T>() where T : unmanaged, ILanes<T>
        {
            if (RuntimeFeature.IsDynamicCodeCompiled) Result = Emitter<T>.Compile(operands, steps);
        }
    }

    /// <summary>Runs it.</summary>
    /// <param name="operands">Addresses of the operands, then of the output, which may be that of an operand of its element size.</param>
    /// <param name="n">Elements.</param>
    public void Run(byte** operands, nint n)
    {
        nint head = 0;
        if (n >= AlignFrom)
        {
            // Elements before the next vector's own place in memory; none if no element of this output ever lies on one.
            int size = _sizes[^1];
            nint bytes = (nint)Lanes * size, over = (nint)operands[_sizes.Length - 1] & (bytes - 1);
            if (over != 0 && over % size == 0) Part(operands, 0, head = (bytes - over) / size);
        }
        nint rest = (n - head) % Lanes, whole = n - head - rest;
        if (head == 0) _body(operands, whole);
        else
        {
            byte** moved = stackalloc byte*[_sizes.Length];
            for (int i = 0; i < _sizes.Length; i++) moved[i] = operands[i] + head * _sizes[i];
            _body(moved, whole);
        }
        if (rest > 0) Part(operands, head + whole, rest);
    }

    /// <summary>Fewer elements than a vector has, in zero-padded buffers.</summary>
    private void Part(byte** operands, nint at, nint n)
    {
        byte* buffers = stackalloc byte[_sizes.Length * BufferBytes];
        byte** places = stackalloc byte*[_sizes.Length];
        Unsafe.InitBlockUnaligned(buffers, 0, (uint)(_sizes.Length * BufferBytes));
        for (int i = 0; i < _sizes.Length; i++)
        {
            bool moves = _sizes[i] > 0;
            places[i] = moves ? buffers + i * BufferBytes : operands[i];
            if (moves && i < _sizes.Length - 1) Unsafe.CopyBlockUnaligned(places[i], operands[i] + at * _sizes[i], (uint)(n * _sizes[i]));
        }
        _body(places, Lanes);
        int last = _sizes.Length - 1;
        Unsafe.CopyBlockUnaligned(operands[last] + at * _sizes[last], places[last], (uint)(n * _sizes[last]));
    }

    /// <summary>Writes the loop. Bool values are masks between the steps.</summary>
    private static class Emitter<T> where T : unmanaged, ILanes<T>
    {
        private delegate T Reader(byte* p);

        private delegate void Writer(T x, byte* p);

        [RequiresDynamicCode("Makes code at run time.")]
        public static Body? Compile(LoopOperand[] operands, LoopStep[] steps)
        {
            var functions = new MethodInfo?[steps.Length];
            bool cheap = true;
            for (int i = 0; i < steps.Length; i++)
            {
                // Softplus is two long functions, which run in loops of their own.
                if (steps[i].Op is Unary { Kind: UnaryKind.Softplus } || !LaneFunctions<T>.Find(steps[i], out functions[i], out bool isCheap)) return null;
                // Of two long functions the second waits for the first, and the JIT inlines only so many; in loops of their own both are as fast as they can be.
                if (!isCheap && !cheap) return null;
                cheap &= isCheap;
            }
            // As many vectors a turn as make the loop's own instructions few.
            int size = steps.Length + operands.Length, turn = size > 24 ? 1 : size > 12 ? 2 : 4;

            var method = new DynamicMethod("elementwise", null, [typeof(byte**), typeof(nint)], typeof(CompiledLoop).Module, skipVisibility: true);
            var il = method.GetILGenerator();
            var places = new LocalBuilder[operands.Length + 1];
            for (int i = 0; i < places.Length; i++)
            {
                places[i] = il.DeclareLocal(typeof(byte*));
                il.Emit(OpCodes.Ldarg_0);
                Number(il, i * sizeof(byte*));
                il.Emit(OpCodes.Add);
                il.Emit(OpCodes.Ldind_I);
                il.Emit(OpCodes.Stloc, places[i]);
            }
            var values = new LocalBuilder[turn, operands.Length + steps.Length];
            for (int v = 0; v < turn; v++)
                for (int i = 0; i < operands.Length + steps.Length; i++) values[v, i] = v > 0 && i < operands.Length && operands[i].Repeated ? values[0, i] : il.DeclareLocal(typeof(T));
            for (int i = 0; i < operands.Length; i++)
            {
                if (!operands[i].Repeated) continue;
                il.Emit(OpCodes.Ldloc, places[i]);
                il.Emit(OpCodes.Call, Repeat(operands[i].Type));
                il.Emit(OpCodes.Stloc, values[0, i]);
            }
            var at = il.DeclareLocal(typeof(nint));
            Number(il, 0);
            il.Emit(OpCodes.Stloc, at);
            for (int vectors = turn; vectors > 0; vectors = vectors > 1 ? 1 : 0)
            {
                Label body = il.DefineLabel(), check = il.DefineLabel();
                il.Emit(OpCodes.Br, check);
                il.MarkLabel(body);
                Steps(vectors);
                il.Emit(OpCodes.Ldloc, at);
                Number(il, vectors * T.Count);
                il.Emit(OpCodes.Add);
                il.Emit(OpCodes.Stloc, at);
                il.MarkLabel(check);
                il.Emit(OpCodes.Ldloc, at);
                il.Emit(OpCodes.Ldarg_1);
                Number(il, vectors * T.Count);
                il.Emit(OpCodes.Sub);
                il.Emit(OpCodes.Ble, body);
            }
            il.Emit(OpCodes.Ret);
            return method.CreateDelegate<Body>();

            // Every step goes over all vectors of a turn before the next: they do not wait for one another.
            void Steps(int vectors)
            {
                for (int i = 0; i < operands.Length; i++)
                {
                    if (operands[i].Repeated) continue;
                    for (int v = 0; v < vectors; v++)
                    {
                        Address(i, operands[i].Type, v);
                        il.Emit(OpCodes.Call, Load(operands[i].Type));
                        il.Emit(OpCodes.Stloc, values[v, i]);
                    }
                }
                for (int s = 0; s < steps.Length; s++)
                    for (int v = 0; v < vectors; v++)
                    {
                        foreach (int argument in steps[s].Arguments.Span) il.Emit(OpCodes.Ldloc, values[v, argument]);
                        if (functions[s] is { } function) il.Emit(OpCodes.Call, function);
                        il.Emit(OpCodes.Stloc, values[v, operands.Length + s]);
                    }
                for (int v = 0; v < vectors; v++)
                {
                    il.Emit(OpCodes.Ldloc, values[v, operands.Length + steps.Length - 1]);
                    Address(operands.Length, steps[^1].To, v);
                    il.Emit(OpCodes.Call, Store(steps[^1].To));
                }
            }

            void Address(int place, DType type, int v)
            {
                il.Emit(OpCodes.Ldloc, places[place]);
                il.Emit(OpCodes.Ldloc, at);
                Number(il, type.Bytes());
                il.Emit(OpCodes.Mul);
                il.Emit(OpCodes.Add);
                if (v == 0) return;
                Number(il, v * T.Count * type.Bytes());
                il.Emit(OpCodes.Add);
            }
        }

        private static void Number(ILGenerator il, int number)
        {
            il.Emit(OpCodes.Ldc_I4, number);
            il.Emit(OpCodes.Conv_I);
        }

        private static MethodInfo Load(DType type) => ((Reader)(type switch { DType.Bool => LoadMask, DType.U8 => LoadByte, DType.BF16 => LoadUpper, _ => LoadWord })).Method;

        private static MethodInfo Store(DType type) => ((Writer)(type switch { DType.Bool => T.StoreMask, DType.U8 => T.StoreByte, DType.BF16 => StoreUpper, _ => StoreWord })).Method;

        private static MethodInfo Repeat(DType type) => ((Reader)(type switch { DType.Bool => RepeatMask, DType.U8 => RepeatByte, DType.BF16 => RepeatUpper, _ => RepeatWord })).Method;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T LoadWord(byte* p) => T.Load((float*)p);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T LoadUpper(byte* p) => T.LoadUpper((ushort*)p);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T LoadMask(byte* p) => T.LoadMask(p);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T LoadByte(byte* p) => T.LoadByte(p);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void StoreWord(T x, byte* p) => T.Store(x, (float*)p);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void StoreUpper(T x, byte* p) => T.StoreUpper(x, (ushort*)p);

        private static T RepeatWord(byte* p) => T.Create(*(int*)p);

        private static T RepeatUpper(byte* p) => T.Create(*(ushort*)p << 16);

        private static T RepeatMask(byte* p) => T.Create(*p == 0 ? 0 : -1);

        private static T RepeatByte(byte* p) => T.Create((int)*p);
    }
}
