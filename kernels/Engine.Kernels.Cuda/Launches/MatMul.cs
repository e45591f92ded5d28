namespace Engine.Kernels.Cuda.Launches;

/// <summary>Products of matrices and what is joined to them.</summary>
internal static class MatMulLaunches
{
    /// <summary>A product by itself.</summary>
    public static CudaKernel Make(MatMul op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        new Gemm(op, inputs[0].Shape, inputs[1].Shape, outputs[0].Shape, null, false, -1, -1, inputs.Length, limits).Make();

    /// <summary>A product with a residual, a mask, or both.</summary>
    public static CudaKernel Make(FusedMatMul op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        new Gemm(op.Product, inputs[0].Shape, inputs[1].Shape, outputs[0].Shape, null, false, op.Residual ? 2 : -1, op.Mask ? inputs.Length - 1 : -1, inputs.Length, limits).Make();

    /// <summary>A layer: product, bias, activation.</summary>
    public static CudaKernel Make(Linear op, TensorType[] inputs, TensorType[] outputs, CudaLimits limits) =>
        new Gemm(new MatMul(false, false), inputs[0].Shape, inputs[1].Shape, outputs[0].Shape, inputs[2].Shape, op.Activation == Activation.Relu, -1, -1, inputs.Length, limits).Make();
}
