using System.Numerics;
using System.Text.Json.Serialization;

namespace Engine.Kernels;

/// <summary>
/// A named draw. Input 0 is the generator's state, I32 [3]: seed low, seed high, step. The last input, where a draw is made
/// inside a loop, is the loop's index (I32 scalar). Element e takes word e%4 of Philox block
/// (e/4, loop index, step, 0) under the key of (seed, name).
/// </summary>
/// <param name="Draw">The draw's name, unique in a program.</param>
/// <param name="To">Shape of the draw.</param>
public abstract record RandomOp(string Draw, Shape To) : Op
{
    /// <summary>Inputs before the loop's index.</summary>
    [JsonIgnore] public virtual int BaseInputs => 1;

    /// <summary>The element type drawn.</summary>
    [JsonIgnore] protected virtual DType Type => DType.F32;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        if (inputs.Length != BaseInputs && inputs.Length != BaseInputs + 1) throw Error(inputs, $"expected {BaseInputs} or {BaseInputs + 1} inputs");
        if (inputs[0].DType != DType.I32 || inputs[0].Shape.Elements != 3) throw Error(inputs, "expected the generator's state, I32 [3]");
        for (int i = 1; i < inputs.Length; i++)
            if (inputs[i].DType != DType.I32 || inputs[i].Elements != 1) throw Error(inputs, $"input {i} must be one I32");
        return [new(Type, To)];
    }

    /// <summary>The random words of block <paramref name="block"/>.</summary>
    public static (uint X0, uint X1, uint X2, uint X3) Words(uint block, ReadOnlySpan<int> state, int index, (uint, uint) key) =>
        Philox.Block(block, (uint)index, (uint)state[2], 0, key.Item1, key.Item2);

    /// <summary>The key of this draw under the generator's seed.</summary>
    public (uint, uint) Key(ReadOnlySpan<int> state) => Philox.Key((uint)state[0] | ((ulong)(uint)state[1] << 32), Draw);

    /// <summary>All words of the draw, in element order.</summary>
    protected uint[] AllWords<T>(ReferenceTensor<T>[] inputs) where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        int[] state = inputs[0].Ints;
        int index = inputs.Length > BaseInputs ? inputs[BaseInputs].Ints[0] : 0;
        var words = new uint[To.Elements];
        var key = Key(state);
        for (long e = 0; e < words.Length; e++)
        {
            var (a, b, c, d) = Words((uint)(e / 4), state, index, key);
            words[e] = (e % 4) switch { 0 => a, 1 => b, 2 => c, _ => d };
        }
        return words;
    }
}

/// <summary>Uniform in [0, 1), multiples of 2^-24.</summary>
public sealed record RandomUniform(string Draw, Shape To) : RandomOp(Draw, To)
{
    /// <inheritdoc/>
    public override string Name => "random_uniform";

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var words = AllWords(inputs);
        for (long e = 0; e < words.Length; e++) outputs[0].Floats[e] = T.CreateTruncating(Philox.Unit(words[e]));
    }
}

/// <summary>Standard normals: elements 2i and 2i+1 are one Box-Muller pair of words 2i and 2i+1.</summary>
public sealed record RandomNormal(string Draw, Shape To) : RandomOp(Draw, To)
{
    /// <inheritdoc/>
    public override string Name => "random_normal";

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        int[] state = inputs[0].Ints;
        int index = inputs.Length > BaseInputs ? inputs[BaseInputs].Ints[0] : 0;
        var key = Key(state);
        T[] y = outputs[0].Floats;
        for (long e = 0; e < y.Length; e += 2)
        {
            var (w0, w1, w2, w3) = Words((uint)(e / 4), state, index, key);
            var (a, b) = e % 4 == 0 ? Philox.NormalPair(w0, w1) : Philox.NormalPair(w2, w3);
            y[e] = T.CreateTruncating(a);
            if (e + 1 < y.Length) y[e + 1] = T.CreateTruncating(b);
        }
    }
}

/// <summary>Integers (I32) in [0, bound), the bound being input 1 (I32 scalar, so that it can grow without recompiling).</summary>
public sealed record RandomInteger(string Draw, Shape To) : RandomOp(Draw, To)
{
    /// <inheritdoc/>
    public override string Name => "random_integer";

    /// <inheritdoc/>
    public override int BaseInputs => 2;

    /// <inheritdoc/>
    protected override DType Type => DType.I32;

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var words = AllWords(inputs);
        for (long e = 0; e < words.Length; e++) outputs[0].Ints[e] = Philox.Integer(words[e], inputs[1].Ints[0]);
    }
}

/// <summary>A permutation of 0..n-1 (I32 [n]): the positions sorted by their random words, ties by position.</summary>
public sealed record RandomPermutation(string Draw, Shape To) : RandomOp(Draw, To)
{
    /// <inheritdoc/>
    public override string Name => "random_permutation";

    /// <inheritdoc/>
    protected override DType Type => DType.I32;

    /// <inheritdoc/>
    public override TensorType[] Infer(ReadOnlySpan<TensorType> inputs)
    {
        if (To.Rank != 1) throw Error(inputs, $"a permutation has one axis, not {To}");
        return base.Infer(inputs);
    }

    /// <inheritdoc/>
    public override void Reference<T>(ReferenceTensor<T>[] inputs, ReferenceTensor<T>[] outputs)
    {
        var words = AllWords(inputs);
        var order = outputs[0].Ints;
        for (int i = 0; i < order.Length; i++) order[i] = i;
        Array.Sort(order, (a, b) => words[a] != words[b] ? words[a].CompareTo(words[b]) : a.CompareTo(b));
    }
}
