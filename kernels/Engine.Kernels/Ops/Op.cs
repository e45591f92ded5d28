using System.Numerics;
using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>
/// One operation with its attributes: a record, so that equal operations compare equal (common subexpressions) and
/// serialise as they are. A definition says what comes out (<see cref="Infer"/>) and computes it with naive loops
/// (<see cref="Reference{T}"/>), the oracle for every device. Every op has one row in <c>OpTable</c>.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "op")]
[JsonDerivedType(typeof(Unary), "unary")]
[JsonDerivedType(typeof(Binary), "binary")]
[JsonDerivedType(typeof(Compare), "compare")]
[JsonDerivedType(typeof(Logical), "logical")]
[JsonDerivedType(typeof(Select), "select")]
[JsonDerivedType(typeof(Fma), "fma")]
[JsonDerivedType(typeof(Cast), "cast")]
[JsonDerivedType(typeof(Reshape), "reshape")]
[JsonDerivedType(typeof(Permute), "permute")]
[JsonDerivedType(typeof(Broadcast), "broadcast")]
[JsonDerivedType(typeof(Slice), "slice")]
[JsonDerivedType(typeof(Concat), "concat")]
[JsonDerivedType(typeof(Pad), "pad")]
[JsonDerivedType(typeof(OneHot), "one_hot")]
[JsonDerivedType(typeof(Iota), "iota")]
[JsonDerivedType(typeof(Gather), "gather")]
[JsonDerivedType(typeof(ScatterAdd), "scatter_add")]
[JsonDerivedType(typeof(SetRows), "set_rows")]
[JsonDerivedType(typeof(Reduce), "reduce")]
[JsonDerivedType(typeof(ArgReduce), "arg_reduce")]
[JsonDerivedType(typeof(CumulativeSum), "cumulative_sum")]
[JsonDerivedType(typeof(Sort), "sort")]
[JsonDerivedType(typeof(SearchSorted), "search_sorted")]
[JsonDerivedType(typeof(ChunkedBackup), "chunked_backup")]
[JsonDerivedType(typeof(MatMul), "matmul")]
[JsonDerivedType(typeof(Unfold), "unfold")]
[JsonDerivedType(typeof(Fold), "fold")]
[JsonDerivedType(typeof(RandomUniform), "random_uniform")]
[JsonDerivedType(typeof(RandomNormal), "random_normal")]
[JsonDerivedType(typeof(RandomInteger), "random_integer")]
[JsonDerivedType(typeof(RandomPermutation), "random_permutation")]
[JsonDerivedType(typeof(StopGradient), "stop_gradient")]
[JsonDerivedType(typeof(Print), "print")]
[JsonDerivedType(typeof(Copy), "copy")]
[JsonDerivedType(typeof(StoreRow), "store_row")]
[JsonDerivedType(typeof(Constant), "constant")]
[JsonDerivedType(typeof(Input), "input")]
[JsonDerivedType(typeof(VariableRead), "variable")]
[JsonDerivedType(typeof(Capture), "capture")]
[JsonDerivedType(typeof(Carried), "carried")]
[JsonDerivedType(typeof(RepeatIndex), "repeat_index")]
[JsonDerivedType(typeof(Repeat), "repeat")]
[JsonDerivedType(typeof(Linear), "linear")]
[JsonDerivedType(typeof(LayerNorm), "layer_norm")]
[JsonDerivedType(typeof(LayerNormGradient), "layer_norm_gradient")]
[JsonDerivedType(typeof(Softmax), "softmax")]
[JsonDerivedType(typeof(LogSumExp), "log_sum_exp")]
[JsonDerivedType(typeof(Adam), "adam")]
[JsonDerivedType(typeof(Polyak), "polyak")]
[JsonDerivedType(typeof(DenoiseStep), "denoise_step")]
public abstract record Op
{
    /// <summary>The name in messages, in <c>Explain()</c> and in the op table.</summary>
    [JsonIgnore] public abstract string Name { get; }

    /// <summary>The types that come out of inputs of these types.</summary>
    /// <exception cref="ShapeException">The inputs do not fit; the message says what was expected.</exception>
    public abstract TensorType[] Infer(ReadOnlySpan<TensorType> inputs);

    /// <summary>Computes the outputs with naive loops in the precision <typeparamref name="T"/>.</summary>
    public virtual void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
        where T : unmanaged, IBinaryFloatingPointIeee754<T> =>
        throw new NotSupportedException($"op {Name} is not computed by itself: it is a leaf, control flow, or a composite run by its definition");

    /// <summary>Whether the output may be written over the input while it is computed (same type, element by element).</summary>
    public virtual bool CanOverwrite(int input, int output, ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => false;

    /// <summary>Floating-point operations, for rates; 2 for a multiply-add.</summary>
    public virtual double Flops(ReadOnlySpan<TensorType> inputs, ReadOnlySpan<TensorType> outputs) => 0;

    /// <summary>Whether the output is the input under another type: no kernel, shared storage.</summary>
    [JsonIgnore] public virtual bool IsAlias => false;

    /// <summary>Whether the output is the first input with some elements replaced: written over it, the op touches those alone. Plans do so where nothing reads the old content later.</summary>
    [JsonIgnore] public virtual bool IsUpdate => false;

    /// <summary>Whether every element of the output depends on the elements at its place in the inputs, broadcast to the output's shape: such ops fuse.</summary>
    [JsonIgnore] public virtual bool IsElementwise => false;

    /// <summary>Throws unless the number of inputs is as stated.</summary>
    protected void Arity(ReadOnlySpan<TensorType> inputs, int count)
    {
        if (inputs.Length != count) throw new ShapeException($"{Name} takes {count} input(s), got {inputs.Length}");
    }

    /// <summary>Throws unless the input has the element type.</summary>
    protected void Expect(ReadOnlySpan<TensorType> inputs, int index, DType type)
    {
        if (inputs[index].DType != type && inputs[index].DType == DType.U8) throw Error(inputs, $"input {index} is U8, which is for storage: cast it to {type} first");
        if (inputs[index].DType != type) throw new ShapeException($"{Name}{Describe(inputs)}: input {index} must be {type}; use Cast");
    }

    /// <summary>Throws if an input is U8: there is no arithmetic on it.</summary>
    protected void NoBytes(ReadOnlySpan<TensorType> inputs)
    {
        for (int i = 0; i < inputs.Length; i++)
            if (inputs[i].DType == DType.U8) throw Error(inputs, $"input {i} is U8, which is for storage: cast it to F32 or I32 first");
    }

    /// <summary>An error about these inputs.</summary>
    protected ShapeException Error(ReadOnlySpan<TensorType> inputs, string expected) => new($"{Name}{Describe(inputs)}: {expected}");

    /// <summary>The inputs as text.</summary>
    protected static string Describe(ReadOnlySpan<TensorType> inputs)
    {
        var parts = new string[inputs.Length];
        for (int i = 0; i < parts.Length; i++) parts[i] = inputs[i].ToString();
        return "(" + string.Join(", ", parts) + ")";
    }
}

/// <summary>
/// An op that is defined by simpler ones (in Engine.Autodiff's Composites). A device may have a fused kernel for it; the
/// interpreter and every other device run the definition.
/// </summary>
public abstract record Composite : Op;

/// <summary>A tensor of the reference code: exactly one of the arrays is set, by the element type.</summary>
/// <typeparam name="T">The precision of floating tensors.</typeparam>
public sealed class ReferenceTensor<T> where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private readonly T[]? _floats;
    private readonly int[]? _ints;
    private readonly byte[]? _bytes;

    /// <summary>A tensor of zeros.</summary>
    public ReferenceTensor(TensorType type)
    {
        Type = type;
        if (type.DType.IsFloat()) _floats = new T[type.Elements];
        else if (type.DType == DType.I32) _ints = new int[type.Elements];
        else _bytes = new byte[type.Elements];
    }

    private ReferenceTensor(TensorType type, ReferenceTensor<T> data) => (Type, _floats, _ints, _bytes) = (type, data._floats, data._ints, data._bytes);

    /// <summary>The type.</summary>
    public TensorType Type { get; }

    /// <summary>The sizes.</summary>
    public Shape Shape => Type.Shape;

    /// <summary>Elements of a floating tensor.</summary>
    public T[] Floats => _floats ?? throw new InvalidOperationException($"tensor is {Type.DType}, not floating");

    /// <summary>Elements of an int tensor.</summary>
    public int[] Ints => _ints ?? throw new InvalidOperationException($"tensor is {Type.DType}, not I32");

    /// <summary>Elements of a boolean tensor, 0 or 1.</summary>
    public byte[] Bools => Type.DType == DType.Bool ? _bytes! : throw new InvalidOperationException($"tensor is {Type.DType}, not Bool");

    /// <summary>Elements of a tensor of bytes, 0..255, or of a boolean one, 0 or 1.</summary>
    public byte[] Bytes => _bytes ?? throw new InvalidOperationException($"tensor is {Type.DType}, not U8 or Bool");

    /// <summary>The same elements under another type of equal size (no copy).</summary>
    public ReferenceTensor<T> As(TensorType type) => new(type, this);

    /// <summary>Element as float64, whatever the type.</summary>
    public double this[long i] => _floats is { } f ? double.CreateTruncating(f[i]) : _ints is { } n ? n[i] : _bytes![i];

    /// <summary>Sets an element from float64; a byte is the nearest of 0..255.</summary>
    public void Set(long i, double value)
    {
        if (_floats is { } f) f[i] = T.CreateTruncating(Type.DType == DType.BF16 ? Bfloat16.Round((float)value) : value);
        else if (_ints is { } n) n[i] = (int)value;
        else _bytes![i] = Type.DType == DType.U8 ? UnsignedByte.FromDouble(value) : value != 0 ? (byte)1 : (byte)0;
    }

    /// <summary>Copies the elements of a tensor of the same element type and count.</summary>
    public void CopyFrom(ReferenceTensor<T> source)
    {
        if (_floats is { } f) source.Floats.AsSpan().CopyTo(f);
        else if (_ints is { } n) source.Ints.AsSpan().CopyTo(n);
        else source.Bytes.AsSpan().CopyTo(_bytes);
    }

    /// <summary>Copies a run of elements of a tensor of the same element type.</summary>
    /// <param name="source">The other tensor.</param>
    /// <param name="from">Its first element.</param>
    /// <param name="to">The first element here.</param>
    /// <param name="count">How many.</param>
    public void CopyFrom(ReferenceTensor<T> source, long from, long to, long count)
    {
        if (_floats is { } f) Array.Copy(source.Floats, from, f, to, count);
        else if (_ints is { } n) Array.Copy(source.Ints, from, n, to, count);
        else Array.Copy(source.Bytes, from, _bytes!, to, count);
    }

    /// <summary>Moves elements: destination d takes source <paramref name="from"/>(d), or the fill value where that is negative.</summary>
    public void MoveFrom(ReferenceTensor<T> source, Func<long, long> from, double fill = 0)
    {
        for (long d = 0; d < Type.Elements; d++)
        {
            long s = from(d);
            if (s < 0) Set(d, fill);
            else if (_floats is { } f) f[d] = source.Floats[s];
            else if (_ints is { } n) n[d] = source.Ints[s];
            else _bytes![d] = source.Bytes[s];
        }
    }
}

/// <summary>Conversions of bytes.</summary>
public static class UnsignedByte
{
    /// <summary>The nearest of 0..255, halves to even; NaN gives 0.</summary>
    public static byte FromDouble(double value) => double.IsNaN(value) ? (byte)0 : (byte)Math.Round(Math.Clamp(value, 0, 255));
}

/// <summary>Conversions of bfloat16, the upper half of a float32.</summary>
public static class Bfloat16
{
    /// <summary>To bfloat16, nearest, halves to even; NaN stays a quiet NaN.</summary>
    public static ushort FromSingle(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>To float32, exact.</summary>
    public static float ToSingle(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);

    /// <summary>The nearest bfloat16 as a float32.</summary>
    public static float Round(float value) => ToSingle(FromSingle(value));
}
