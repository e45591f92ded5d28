using System.Text;
using Engine.Kernels.Cuda.Elementwise;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>The texts of elementwise kernels, which need no device.</summary>
public sealed class PtxTextTests
{
    private static IEnumerable<OpCase> Elementwise => Texts.Where(c => c.Op is not Fused fused || fused.Steps.All(s => s.Op is not Reduce));

    private static IEnumerable<OpCase> Texts => OpTable.Cases.Where(c => PtxElementwise.Has(c.Op, SampleData.Types(c)) && c.Op.Infer(SampleData.Types(c))[0].Elements > 0);

    private static (string Name, string Text) Text(OpCase c, int lanes) => PtxElementwise.Text(c.Op, SampleData.Types(c), lanes, 128);

    /// <summary>All cases of the op table, one element and four elements a thread, and indices of 64 bits, in one module.</summary>
    [PtxasFact]
    public void The_assembler_takes_every_text()
    {
        var module = new StringBuilder(PtxWriter.Header);
        var names = new HashSet<string>();
        foreach (var c in Elementwise)
            foreach (int lanes in new[] { 1, 4 })
                Add(Text(c, lanes));
        foreach (var kind in new[] { UnaryKind.Tanh, UnaryKind.Sin })
            foreach (int lanes in new[] { 1, 4 })
            {
                var big = TensorType.Float([3, 1 << 30]);
                Add(PtxElementwise.Text(new Unary(kind), [big], lanes, 256));
                Add(PtxElementwise.Text(new Binary(BinaryKind.Add), [big, TensorType.Float([1 << 30])], lanes, 256));
                Add(PtxElementwise.Text(new Binary(BinaryKind.Add), [TensorType.Float([3, 1]), big], lanes, 256));
            }
        int elementwise = names.Count;
        foreach (var c in Texts) Add(Text(c, 4));
        Assert.True(elementwise > 200 && names.Count > elementwise, $"only {elementwise} texts, and {names.Count - elementwise} of reductions");
        foreach (string architecture in new[] { "sm_75", "sm_90" })
            Assert.Null(Ptxas.Fails(module.ToString(), architecture));

        void Add((string Name, string Text) kernel)
        {
            if (names.Add(kernel.Name)) module.Append(kernel.Text.AsSpan(PtxWriter.Header.Length));
        }
    }

    [Fact]
    public void Every_elementwise_op_of_the_table_has_a_text()
    {
        foreach (var c in OpTable.Cases.Where(c => (c.Op.IsElementwise || (c.Op is Fused fused && fused.IsElementwiseOnly(SampleData.Types(c)))) && c.Op.Infer(SampleData.Types(c))[0].Elements > 0)) Assert.True(PtxElementwise.Has(c.Op, SampleData.Types(c)), c.ToString());
        foreach (var c in Elementwise)
            foreach (int lanes in new[] { 1, 4 })
                Assert.StartsWith(PtxWriter.Header, Text(c, lanes).Text);
    }

    /// <summary>The text does not depend on the number of rows, so that a change of it compiles nothing anew.</summary>
    [Fact]
    public void Numbers_of_rows_share_a_text()
    {
        string Of(int rows) => PtxElementwise.Text(new Binary(BinaryKind.Add), [TensorType.Float([rows, 6]), TensorType.Float([6])], 1, 128).Text;
        Assert.Equal(Of(7), Of(700));
        Assert.NotEqual(Of(7), PtxElementwise.Text(new Binary(BinaryKind.Add), [TensorType.Float([7, 5]), TensorType.Float([5])], 1, 128).Text);
    }

    /// <summary>Indices of 64 bits where an input of which a part is read is longer than 32 bits count, however short the part.</summary>
    [Fact]
    public void Parts_of_long_inputs_have_long_indices()
    {
        var op = new Fused(1, [new(new Slice([65000, 7000], [100, 100], [5, 5]), [0]), new(new Unary(UnaryKind.Negate), [1])]);
        string text = PtxElementwise.Text(op, [TensorType.Float([1 << 16, 1 << 16])], 1, 128).Text;
        Assert.Contains("mul.lo.u64", text, StringComparison.Ordinal);
        Assert.DoesNotContain("mul.lo.u32", text, StringComparison.Ordinal);
        Assert.Contains("mul.lo.u32", PtxElementwise.Text(op, [TensorType.Float([1 << 16, 1 << 14])], 1, 128).Text, StringComparison.Ordinal);
    }

    /// <summary>No instruction rounds without saying how, so nothing is contracted.</summary>
    [Fact]
    public void Arithmetic_states_its_rounding()
    {
        foreach (var c in Elementwise)
            foreach (string line in Text(c, 4).Text.Split('\n').Select(l => l.Trim()))
                foreach (string bare in new[] { "add.f32", "sub.f32", "mul.f32", "div.f32", "sqrt.f32", "mad.f32", "fma.f32", "add.f64", "mul.f64", "sub.f64", ".approx", ".ftz", ".full" })
                    Assert.DoesNotContain(bare, line);
    }
}
