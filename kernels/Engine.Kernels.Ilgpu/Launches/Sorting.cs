using Engine.Kernels.Ilgpu.Elementwise;
using Engine.Kernels.Ilgpu.Runtime;
using ILGPU;
using static Engine.Kernels.Ilgpu.Runtime.Argument;

namespace Engine.Kernels.Ilgpu.Launches;

/// <summary>An order of keys.</summary>
/// <typeparam name="T">The keys.</typeparam>
internal interface IOrder<T> where T : unmanaged
{
    /// <summary>Whether a comes before b, and they are not equal.</summary>
    static abstract bool Before(T a, T b);
}

/// <summary>Ascending, NaN last.</summary>
internal readonly struct Ascending : IOrder<float>
{
    public static bool Before(float a, float b) => a < b || (!ScalarFunctions.IsNaN(a) && ScalarFunctions.IsNaN(b));
}

/// <summary>Descending, NaN last.</summary>
internal readonly struct Descending : IOrder<float>
{
    public static bool Before(float a, float b) => a > b || (!ScalarFunctions.IsNaN(a) && ScalarFunctions.IsNaN(b));
}

/// <summary>Words without signs, ascending.</summary>
internal readonly struct Unsigned : IOrder<int>
{
    public static bool Before(int a, int b) => (a ^ int.MinValue) < (b ^ int.MinValue);
}

/// <summary>Sorts and what searches in what is sorted. A sort merges runs of positions, twice as long every launch; an element finds its place in the other run by bisection, so that equal keys keep their order.</summary>
internal static class Sorting
{
    private static KernelSource Of(string name, params Type[] arguments) => KernelSource.Of(typeof(Sorting), name, arguments);

    public static KernelPlan Sort(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind)
    {
        int k = inputs[0].Shape[^1];
        long n = inputs[0].Elements;
        var scratch = new Scratch();
        var launches = new List<LaunchPlan>();
        var order = Positions(launches, scratch, Operand(0), n, k, typeof(float), ((Sort)op).Descending ? typeof(Descending) : typeof(Ascending), Operand(2));
        launches.Add(new(Of(nameof(Take)), n, [Operand(0), order, Operand(1), k]));
        return new("merges", launches.ToArray(), scratch.Bytes);
    }

    /// <summary>The positions of keys in their order, row by row; the last launch writes them to <paramref name="to"/>.</summary>
    public static Argument Positions(List<LaunchPlan> launches, Scratch scratch, Argument keys, long n, int k, Type key, Type order, Argument to)
    {
        int passes = 0;
        for (long run = 1; run < k; run *= 2) passes++;
        Argument other = passes > 0 ? scratch.Take(4 * n) : to, from = passes % 2 == 0 ? to : other;
        launches.Add(new(Of(nameof(Start)), n, [from, k]));
        for (int run = 1; run < k; run *= 2)
        {
            var next = from == to ? other : to;
            launches.Add(new(Of(nameof(Merge), key, order), n, [keys, from, next, k, run]));
            from = next;
        }
        return from;
    }

    public static KernelPlan SearchSorted(Op op, TensorType[] inputs, TensorType[] outputs, AcceleratorKind kind) =>
        inputs[0].Elements == 0 ? new("nothing is sorted", [Movement.Fill(outputs[0], 0, Operand(2))])
            : new("bisection", [new(Of(nameof(Search)), outputs[0].Elements, [Operand(0), Operand(1), Operand(2), inputs[0].Shape[^1], inputs[1].Shape[^1], ((SearchSorted)op).Right ? 1 : 0])]);

    // Device code; i is the work-item.

    private static void Start(int i, ArrayView<int> y, int k) => y[i] = i % k;

    private static void Merge<T, TOrder>(int i, ArrayView<T> keys, ArrayView<int> from, ArrayView<int> to, int k, int run) where T : unmanaged where TOrder : struct, IOrder<T>
    {
        int row = i / k * k, at = i % k, position = from[i];
        T key = keys[row + position];
        // The pair of runs that the element is in: [first, middle) and [middle, end).
        int first = at / run / 2 * run * 2, middle = first + run < k ? first + run : k, end = middle + run < k ? middle + run : k;
        bool left = at < middle;
        // How many of the other run come before it; equal ones of the left run do.
        int low = left ? middle : first, start = low, high = left ? end : middle;
        while (low < high)
        {
            int half = (low + high) / 2;
            T other = keys[row + from[row + half]];
            bool before = left ? TOrder.Before(other, key) : !TOrder.Before(key, other);
            low = before ? half + 1 : low;
            high = before ? high : half;
        }
        int own = left ? at - first : at - middle;
        to[row + first + own + (low - start)] = position;
    }

    private static void Take(int i, ArrayView<int> x, ArrayView<int> order, ArrayView<int> y, int k) => y[i] = x[i / k * k + order[i]];

    private static void Search(int i, ArrayView<float> sorted, ArrayView<float> values, ArrayView<int> y, int k, int v, int right)
    {
        int start = i / v * k, low = 0, high = k;
        float value = values[i];
        while (low < high)
        {
            int half = (low + high) / 2;
            float x = sorted[start + half];
            bool found = right != 0 ? x > value : x >= value;
            low = found ? low : half + 1;
            high = found ? half : high;
        }
        y[i] = low;
    }
}
