#include "common.cuh"

// Adam's step, and the Polyak step of a slow copy towards the new parameter, in the order of the ops' definitions. A thread four
// elements, a block of 256 threads 1024. Outputs may be the inputs that they replace.

struct AdamNumbers
{
    float step, correction, decay; // rate / (1 - beta1^t), 1 / sqrt(1 - beta2^t), 1 - rate * weight decay
    float beta1, rest1, beta2, rest2, epsilon, keep, rate;
};

DEVICE void adam_element(const AdamNumbers& a, float& p, float& m, float& v, float g, float& t)
{
    m = m * a.beta1 + g * a.rest1;
    v = v * a.beta2 + g * g * a.rest2;
    // As in the definition: what would become subnormal is 0.
    m = fabsf(m) < 7.888609e-31f ? 0.0f : m;
    v = v < 1.1754944e-38f ? 0.0f : v;
    p = p * a.decay - m * a.step / (sqrtf(v) * a.correction + a.epsilon);
    t = t * a.keep + p * a.rate;
}

// Elements 1024 * block to 1024 * block + 1023 of a parameter of n; no slow copy if t is null.
DEVICE void adam_piece(const AdamNumbers& a, const float* p, const float* m, const float* v, const float* g, const float* t, float* p_out, float* m_out,
                       float* v_out, float* t_out, long long n, int block)
{
    long long i = 1024ll * block + 4 * (int)threadIdx.x;
    if (i >= n) return;
    unsigned long long addresses = (unsigned long long)p | (unsigned long long)m | (unsigned long long)v | (unsigned long long)g | (unsigned long long)t |
                                   (unsigned long long)p_out | (unsigned long long)m_out | (unsigned long long)v_out | (unsigned long long)t_out;
    if (i + 4 <= n && (addresses & 15) == 0)
    {
        float4 p4 = *(const float4*)(p + i), m4 = *(const float4*)(m + i), v4 = *(const float4*)(v + i), g4 = *(const float4*)(g + i);
        float4 t4 = t ? *(const float4*)(t + i) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        adam_element(a, p4.x, m4.x, v4.x, g4.x, t4.x);
        adam_element(a, p4.y, m4.y, v4.y, g4.y, t4.y);
        adam_element(a, p4.z, m4.z, v4.z, g4.z, t4.z);
        adam_element(a, p4.w, m4.w, v4.w, g4.w, t4.w);
        *(float4*)(p_out + i) = p4;
        *(float4*)(m_out + i) = m4;
        *(float4*)(v_out + i) = v4;
        if (t) *(float4*)(t_out + i) = t4;
        return;
    }
    for (int k = 0; k < 4 && i < n; k++, i++)
    {
        float p1 = p[i], m1 = m[i], v1 = v[i], t1 = t ? t[i] : 0.0f;
        adam_element(a, p1, m1, v1, g[i], t1);
        p_out[i] = p1;
        m_out[i] = m1;
        v_out[i] = v1;
        if (t) t_out[i] = t1;
    }
}

KERNEL_BOUNDED(adam, 256, 4, (const float* p, const float* m, const float* v, const float* g, const float* step, const float* correction, const float* decay,
                              float* p_out, float* m_out, float* v_out, long long n, float beta1, float rest1, float beta2, float rest2, float epsilon))
{
    AdamNumbers a = {*step, *correction, *decay, beta1, rest1, beta2, rest2, epsilon, 0.0f, 0.0f};
    adam_piece(a, p, m, v, g, nullptr, p_out, m_out, v_out, nullptr, n, (int)blockIdx.x);
}

// Up to sixteen parameters: parameter k has n elements and the blocks from `first` on.
#define ADAM_PARAMETER(k)                                                                                                          \
    const float* p##k, const float* m##k, const float* v##k, const float* g##k, const float* t##k, float* p_out##k, float* m_out##k, \
        float* v_out##k, float* t_out##k, long long n##k, int first##k
#define ADAM_CHOOSE(k)                                                      \
    if ((int)blockIdx.x >= first##k)                                        \
    {                                                                       \
        p = p##k, m = m##k, v = v##k, g = g##k, t = t##k, n = n##k;         \
        p_out = p_out##k, m_out = m_out##k, v_out = v_out##k, t_out = t_out##k; \
        first = first##k;                                                   \
    }
KERNEL_BOUNDED(adam_group, 256, 4, (ADAM_PARAMETER(0), ADAM_PARAMETER(1), ADAM_PARAMETER(2), ADAM_PARAMETER(3), ADAM_PARAMETER(4), ADAM_PARAMETER(5),
                                    ADAM_PARAMETER(6), ADAM_PARAMETER(7), ADAM_PARAMETER(8), ADAM_PARAMETER(9), ADAM_PARAMETER(10), ADAM_PARAMETER(11),
                                    ADAM_PARAMETER(12), ADAM_PARAMETER(13), ADAM_PARAMETER(14), ADAM_PARAMETER(15), const float* step,
                                    const float* correction, const float* decay, float beta1, float rest1, float beta2, float rest2, float epsilon,
                                    int with_copy, float keep, float rate))
{
    AdamNumbers a = {*step, *correction, *decay, beta1, rest1, beta2, rest2, epsilon, keep, rate};
    const float *p = p0, *m = m0, *v = v0, *g = g0, *t = t0;
    float *p_out = p_out0, *m_out = m_out0, *v_out = v_out0, *t_out = t_out0;
    long long n = n0;
    int first = first0;
    ADAM_CHOOSE(1)
    ADAM_CHOOSE(2)
    ADAM_CHOOSE(3)
    ADAM_CHOOSE(4)
    ADAM_CHOOSE(5)
    ADAM_CHOOSE(6)
    ADAM_CHOOSE(7)
    ADAM_CHOOSE(8)
    ADAM_CHOOSE(9)
    ADAM_CHOOSE(10)
    ADAM_CHOOSE(11)
    ADAM_CHOOSE(12)
    ADAM_CHOOSE(13)
    ADAM_CHOOSE(14)
    ADAM_CHOOSE(15)
    adam_piece(a, p, m, v, g, with_copy ? t : nullptr, p_out, m_out, v_out, with_copy ? t_out : nullptr, n, (int)blockIdx.x - first);
}
#undef ADAM_PARAMETER
#undef ADAM_CHOOSE
