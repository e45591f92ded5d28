namespace Engine.Kernels.Cpu;

internal enum GemmEpilogue { None, Bias, BiasRelu }

internal sealed unsafe class GemmPlan(int m, int n, int k, bool transposeA, bool transposeB, int lda, int ldb, int ldc, GemmEpilogue epilogue)
{
    public int Chunks => 1;
    public long ScratchBytes => 0;
    public void RunChunk(int chunk, float* a, float* b, float* c, float* bias, byte* scratch)
    {
        for (int i = 0; i < m; i++)
        {
            float* row = c + (long)i * ldc;
            for (int j = 0; j < n; j++) row[j] = 0;
            for (int p = 0; p < k; p++)
            {
                float x = transposeA ? a[(long)p * lda + i] : a[(long)i * lda + p];
                for (int j = 0; j < n; j++) row[j] += x * (transposeB ? b[(long)j * ldb + p] : b[(long)p * ldb + j]);
            }
            if (epilogue != GemmEpilogue.None) for (int j = 0; j < n; j++) row[j] += bias[j];
            if (epilogue == GemmEpilogue.BiasRelu) for (int j = 0; j < n; j++) row[j] = row[j] > 0 || float.IsNaN(row[j]) ? row[j] : 0;
        }
    }
}
