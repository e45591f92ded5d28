namespace Engine.Kernels.Cpu;

/// <summary>The part of an epilogue that reads matrices beside C.</summary>
internal static unsafe class GemmBeside<T> where T : unmanaged, ILanes<T>
{
    /// <summary>n elements of a row of C from those of the product: adds the residual's, then keeps those where the mask is above 0; null leaves either out. C may be the product, the residual or the mask.</summary>
    internal static void Apply(float* product, float* c, float* residual, float* mask, int n)
    {
        T zero = T.Create(0f);
        int j = 0;
        for (; j + T.Count <= n; j += T.Count)
        {
            T value = T.Load(product + j);
            if (residual is not null) value = T.Load(residual + j) + value;
            if (mask is not null) value &= T.Less(zero, T.Load(mask + j));
            T.Store(value, c + j);
        }
        for (; j < n; j++)
        {
            float value = product[j];
            if (residual is not null) value = residual[j] + value;
            c[j] = mask is not null && !(mask[j] > 0) ? 0 : value;
        }
    }
}
