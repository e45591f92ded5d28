namespace Engine.Kernels.Cuda.Launches;

/// <summary>Products of matrices and what is joined to them.</summary>
internal static class MatMulLaunches
{
    /// <summary>A product by itself; with a residual, a mask, or both; or a layer: product, bias, activation.</summary>
    public static CudaKernel Make(Op op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) => Product(op, inputs, outputs[0], limits).Make();

    /// <summary>How that is computed.</summary>
    public static Gemm Product(Op op, TensorType[] inputs, TensorType output, CudaLimits limits)
    {
        Gemm Of(MatMul product, Shape? bias = null, bool relu = false, int residual = -1, int mask = -1) =>
            new(product, inputs[0].Shape, inputs[1].Shape, output.Shape, bias, relu, residual, mask, inputs.Length, limits);
        return op switch
        {
            MatMul product => Of(product),
            FusedMatMul fused => Of(fused.Product, residual: fused.Residual ? 2 : -1, mask: fused.Mask ? inputs.Length - 1 : -1),
            Linear layer => Of(new MatMul(false, false), inputs[2].Shape, layer.Activation == Activation.Relu),
            _ => throw new ArgumentException($"{op.Name} is no product", nameof(op)),
        };
    }
}
