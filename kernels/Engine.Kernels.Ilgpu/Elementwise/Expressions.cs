using System.Reflection;
using System.Reflection.Emit;
using System.Text;
using Engine.Kernels.Cpu;
using Engine.Kernels.Ilgpu.Runtime;

namespace Engine.Kernels.Ilgpu.Elementwise;

/// <summary>
/// Elementwise ops and fused expressions of them as one kernel, a work-item an element: the functions of the steps are composed as IL, so what lies between stays in registers and the bits are those of the steps one by
/// one. The IL depends on the ops, and on the sizes by which broadcast inputs are walked but for the leading one; equal expressions share a kernel.
/// </summary>
internal static class Expressions
{
    /// <summary>Whether the op is one of these.</summary>
    public static bool Has(Op op, TensorType[] inputs) => op is Fused fused
        ? fused.IsElementwiseOnly(inputs) && fused.Steps.All(s => s.Op is Broadcast || s.Op.IsAlias || HasFunction(s.Op))
        : HasFunction(op);

    private static bool HasFunction(Op op) => op is Unary or Binary or Compare or Logical or Select or Fma or Cast;

    /// <summary>The launch of an op at these types.</summary>
    public static KernelPlan Make(Op op, TensorType[] inputs, TensorType output)
    {
        var expression = op as Fused ?? new Fused(inputs.Length, [new FusedStep(op, Enumerable.Range(0, inputs.Length).ToArray())]);
        var source = new Writer(expression, inputs, output).Source(op.Name);
        return new("il", [new(source, output.Elements, [.. Enumerable.Range(0, inputs.Length + 1).Select(Argument.Operand)])]);
    }

    /// <summary>The device function of a step; null where its result is its argument.</summary>
    private static MethodInfo? Function(LoopStep step)
    {
        bool ints = step.From == DType.I32;
        string? own = step.Op switch
        {
            Unary { Kind: UnaryKind.Negate } when ints => nameof(ScalarFunctions.NegateInt),
            Unary { Kind: UnaryKind.Abs } when ints => nameof(ScalarFunctions.AbsInt),
            Binary { Kind: BinaryKind.Divide } when ints => nameof(ScalarFunctions.Quotient),
            Binary { Kind: BinaryKind.Modulo } when ints => nameof(ScalarFunctions.Remainder),
            Binary { Kind: BinaryKind.FloorDivide } when ints => nameof(ScalarFunctions.FloorQuotient),
            Binary { Kind: BinaryKind.Power } => nameof(ScalarFunctions.Power),
            _ => null,
        };
        if (own is not null) return typeof(ScalarFunctions).GetMethod(own)!;
        return LaneFunctions<ScalarLanes>.Find(step, out var function, out _) ? function : throw new InvalidOperationException($"{step.Op.Name} of {step.From} has no function");
    }

    /// <summary>Writes one expression.</summary>
    private sealed class Writer(Fused expression, TensorType[] inputs, TensorType output)
    {
        private readonly TensorType[] _types = expression.Types(inputs);
        private readonly StringBuilder _key = new("expression");
        private readonly List<Action<ILGenerator, LocalBuilder, LocalBuilder[]>> _parts = []; // the index and a local a value
        private readonly Dictionary<string, int> _loaded = []; // a view of an input: the local that has it
        private int _locals;

        public KernelSource Source(string name)
        {
            // A value's number becomes that of a local when it is known; inputs are loaded under the shapes that they are read under.
            var locals = new int[_types.Length];
            for (int s = 0; s < expression.Steps.Count; s++)
            {
                var (op, arguments) = expression.Steps[s];
                int value = inputs.Length + s;
                int[] numbers = Array.ConvertAll(arguments.ToArray(), a => a < inputs.Length ? Load(a, op.IsElementwise || op is Broadcast ? _types[value].Shape : inputs[a].Shape) : locals[a]);
                if (!op.IsElementwise) locals[value] = numbers[0];
                else locals[value] = Call(Function(new LoopStep(op, _types[arguments[0]].DType, _types[value].DType, arguments)), numbers);
            }
            int result = locals[expression.Results[0]], place = inputs.Length;
            var store = Memory.Storer(output.DType);
            _key.Append("; to ").Append(result).Append(' ').Append(output.DType);
            _parts.Add((il, index, values) =>
            {
                il.Emit(OpCodes.Ldarg, place);
                il.Emit(OpCodes.Ldloc, index);
                il.Emit(OpCodes.Ldloc, values[result]);
                il.Emit(OpCodes.Call, store);
            });
            var (parts, count) = (_parts, _locals);
            return new(_key.ToString(), Named(name), [.. inputs.Select(t => Memory.View(t.DType)), Memory.View(output.DType)], (il, index) =>
            {
                var values = new LocalBuilder[count];
                for (int i = 0; i < count; i++) values[i] = il.DeclareLocal(typeof(ScalarLanes));
                foreach (var part in parts) part(il, index, values);
            });
        }

        private int Load(int input, Shape target)
        {
            var (sizes, strides) = FusedDomain.Walk(inputs[input].Shape, target);
            // The leading size is not needed: beyond it there is nothing.
            string view = $"{input} {inputs[input].DType} [{string.Join(",", sizes.SkipLast(1))}] [{string.Join(",", strides)}]";
            if (_loaded.TryGetValue(view, out int known)) return known;
            int local = _locals++;
            _key.Append("; ").Append(local).Append(" = ").Append(view);
            var load = Memory.Loader(inputs[input].DType);
            _parts.Add((il, index, values) =>
            {
                il.Emit(OpCodes.Ldarg, input);
                Offset(il, index, sizes, strides);
                il.Emit(OpCodes.Call, load);
                il.Emit(OpCodes.Stloc, values[local]);
            });
            return _loaded[view] = local;
        }

        private int Call(MethodInfo? function, int[] arguments)
        {
            if (function is null) return arguments[0];
            int local = _locals++;
            string owner = string.Join(",", function.DeclaringType!.GetGenericArguments().Concat(function.GetGenericArguments()).Select(t => t.FullName));
            _key.Append("; ").Append(local).Append(" = ").Append(function.DeclaringType!.FullName).Append('.').Append(function.Name).Append('<').Append(owner).Append(">(").AppendJoin(',', arguments).Append(')');
            _parts.Add((il, _, values) =>
            {
                foreach (int argument in arguments) il.Emit(OpCodes.Ldloc, values[argument]);
                il.Emit(OpCodes.Call, function);
                il.Emit(OpCodes.Stloc, values[local]);
            });
            return local;
        }

        /// <summary>Where an input's element lies: sizes and strides, innermost first.</summary>
        private static void Offset(ILGenerator il, LocalBuilder index, long[] sizes, long[] strides)
        {
            bool any = false;
            long before = 1;
            for (int d = 0; d < sizes.Length; before *= sizes[d++])
            {
                if (strides[d] == 0) continue;
                il.Emit(OpCodes.Ldloc, index);
                Apply(il, before, OpCodes.Div);
                if (d < sizes.Length - 1)
                {
                    il.Emit(OpCodes.Ldc_I4, (int)sizes[d]);
                    il.Emit(OpCodes.Rem);
                }
                Apply(il, strides[d], OpCodes.Mul);
                if (any) il.Emit(OpCodes.Add);
                any = true;
            }
            if (!any) il.Emit(OpCodes.Ldc_I4_0);
        }

        private static void Apply(ILGenerator il, long number, OpCode code)
        {
            if (number == 1) return;
            il.Emit(OpCodes.Ldc_I4, (int)number);
            il.Emit(code);
        }

        private static string Named(string name)
        {
            var text = new StringBuilder();
            foreach (char c in name) text.Append(char.IsAsciiLetterOrDigit(c) ? c : '_');
            return text.Length > 48 ? text.ToString(0, 48) : text.ToString();
        }
    }
}
