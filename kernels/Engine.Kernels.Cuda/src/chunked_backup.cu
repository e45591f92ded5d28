#include "common.cuh"

// Targets over windows of rows of a table, a thread a window, in the order of the op's definition. values: [members, windows], or with
// bins logits [members, windows, bins]; some: the members that count are `picked`, else they are the first `counted`. kind: 0 the smallest, 1 the mean,
// 2 the quantile `beyond` past the member of rank `rank`. A row or a member that is not there gives NaN.

struct Backup
{
    const float* values;
    const int* picked;
    int some, windows, members, counted, bins;
    float low, width;
};

DEVICE float backup_expectation(const float* logits, int bins, float low, float width)
{
    float largest = logits[0], sum = 0.0f, weighted = 0.0f;
    for (int j = 1; j < bins; j++) largest = maximum(largest, logits[j]);
    for (int j = 0; j < bins; j++)
    {
        float e = engine_exp(logits[j] - largest);
        sum = sum + e;
        weighted = weighted + e * (low + width * ((float)j + 0.5f));
    }
    return weighted / sum;
}

// The value of the k-th member that counts.
DEVICE float backup_value(const Backup& b, int k, long long window)
{
    int member = b.some ? b.picked[k] : k;
    if (member < 0 || member >= b.members) return as_float(0x7FC00000);
    long long at = (long long)member * b.windows + window;
    return b.bins == 0 ? b.values[at] : backup_expectation(b.values + at * b.bins, b.bins, b.low, b.width);
}

// The member of a rank: as many are smaller, or equal and before it.
DEVICE float backup_ranked(const Backup& b, int rank, long long window)
{
    float result = as_float(0x7FC00000);
    for (int k = 0; k < b.counted; k++)
    {
        float value = backup_value(b, k, window);
        int before = 0;
        for (int other = 0; other < b.counted; other++)
        {
            float x = backup_value(b, other, window);
            before += x < value || (x == value && other < k) ? 1 : 0;
        }
        if (before == rank) result = value;
    }
    return result;
}

DEVICE float backup_reduced(const Backup& b, int kind, int rank, float beyond, float share, long long window)
{
    if (kind == 2)
    {
        float below = backup_ranked(b, rank, window);
        float above = rank + 1 < b.counted ? backup_ranked(b, rank + 1, window) : below;
        return below + beyond * (above - below);
    }
    float result = backup_value(b, 0, window);
    for (int k = 1; k < b.counted; k++)
    {
        float value = backup_value(b, k, window);
        result = kind == 1 ? result + value : minimum(result, value);
    }
    return kind == 1 ? result * share : result;
}

KERNEL(chunked_backup, (const float* rewards, const float* terminals, const int* first, const int* left, const float* values, const int* picked, float* targets, float* known, int some, int windows, int rows, int length,
                        int stride, float within, float discount, int members, int counted, int bins, float low, float width, int kind, int rank, float beyond, float share))
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= windows) return;
    Backup b = {values, picked, some, windows, members, counted, bins, low, width};
    long long row = first[i];
    bool inside = row >= 0 && row < rows, ended = false;
    int most = inside ? min(length, left[i]) : 0, taken = 0;
    float sum = inside ? 0.0f : as_float(0x7FC00000), power = 1.0f, following = 1.0f;
    while (taken < most && !ended)
    {
        sum = sum + power * rewards[row];
        power = power * within;
        following = following * discount;
        ended = terminals[row] > 0.0f;
        taken++;
        row = (row + stride) % rows;
    }
    if (!ended) sum = sum + following * backup_reduced(b, kind, rank, beyond, share, i);
    targets[i] = sum;
    known[i] = ended || taken == length ? 1.0f : 0.0f;
}
