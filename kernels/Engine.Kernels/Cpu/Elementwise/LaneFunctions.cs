using System.Reflection;
using System.Runtime.CompilerServices;

namespace Engine.Kernels.Cpu;

/// <summary>The functions over lanes that elementwise ops are made of, by op: what is composed where several ops become one loop or one kernel.</summary>
/// <typeparam name="T">The lanes: a vector, or one element of another device.</typeparam>
internal static class LaneFunctions<T> where T : unmanaged, ILanes<T>
{
    /// <summary>The function of a step; null where its result is its argument. False: there is none over lanes.</summary>
    public static bool Find(LoopStep step, out MethodInfo? function, out bool cheap)
    {
        function = null;
        cheap = true;
        var (op, ints) = (step.Op, step.From == DType.I32);
        switch (op)
        {
            case Unary unary when !ints:
                var one = new UnaryFound();
                UnaryLoops.Find(unary.Kind, ref one);
                (function, cheap) = (one.Function, one.Cheap);
                return true;
            case Binary { Kind: not BinaryKind.Power } binary when !ints || binary.Kind is not (BinaryKind.Divide or BinaryKind.Modulo or BinaryKind.FloorDivide):
                var two = new BinaryFound();
                if (ints) BinaryLoops.FindInt(binary.Kind, ref two);
                else BinaryLoops.FindFloat(binary.Kind, ref two);
                function = two.Function;
                return true;
            case Compare compare:
                var comparison = new BinaryFound();
                if (ints) CompareLoops.FindInt(compare.Kind, ref comparison);
                else CompareLoops.FindFloat(compare.Kind, ref comparison);
                function = comparison.Function;
                return true;
            case Cast cast:
                if (step.From == cast.To) return true;
                var conversion = new ConversionFound();
                CastLoops.Find(step.From, cast.To, ref conversion);
                function = conversion.Function;
                return true;
            case Logical logical:
                function = Method(logical.Kind switch { LogicalKind.And => And, LogicalKind.Or => Or, _ => (Func<T, T, T>)Xor });
                return true;
            case Select:
                function = Method((Func<T, T, T, T>)T.Select);
                return true;
            case Fma:
                function = Method((Func<T, T, T, T>)T.Fma);
                return true;
            default:
                return false;
        }
    }

    private static MethodInfo Method(Delegate function) => function.Method;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T And(T x, T y) => x & y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Or(T x, T y) => x | y;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Xor(T x, T y) => x ^ y;

    /// <summary>A conversion to BFloat16 leaves in the lower halves what is not stored.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T ConvertToUpper<F>(T x) where F : IConversion => F.Invoke(x) & T.Create(unchecked((int)0xFFFF0000));

    private struct UnaryFound : IUnaryUser
    {
        public MethodInfo Function;
        public bool Cheap;

        public void Use<F>() where F : IUnaryFunction => (Function, Cheap) = (Method((Func<T, T>)F.Invoke<T>), F.IsCheap);
    }

    private struct BinaryFound : IBinaryUser
    {
        public MethodInfo Function;

        public void Use<F>() where F : IBinaryFunction => Function = Method((Func<T, T, T>)F.Invoke<T>);
    }

    private struct ConversionFound : IConversionUser
    {
        public MethodInfo Function;

        public void Use<F>() where F : IConversion => Function = Method(F.Target == Packing.Upper ? ConvertToUpper<F> : (Func<T, T>)F.Invoke<T>);
    }
}
