using System.Globalization;

namespace Engine.Kernels.Cuda.Launches;

/// <summary>The implementations of a family, the generic one first. ENGINE_CUDA_FAMILY=NUMBER chooses one wherever it can run, for measurements and for tests; else the launches choose by shape.</summary>
/// <param name="family">The family's name.</param>
/// <param name="variants">Names of the implementations.</param>
internal sealed class Choice(string family, params string[] variants)
{
    // Read when it is first needed: what a static initialiser throws would be hidden by another exception.
    private readonly Lazy<int?> _outside = new(() => FromEnvironment("ENGINE_CUDA_" + family, variants));
    private int? _number;

    /// <summary>The number chosen here, else the environment's; null: none.</summary>
    /// <exception cref="DeviceException">The environment names one that does not exist.</exception>
    public int? Number
    {
        get => _number ?? _outside.Value;
        set => _number = value;
    }

    /// <summary>How many there are.</summary>
    public int Count => variants.Length;

    /// <summary>The name of one.</summary>
    public string this[int number] => variants[number];

    /// <summary>The number to use: the chosen one if it can run, else the best.</summary>
    /// <param name="best">The best for the shapes.</param>
    /// <param name="runs">Whether a number can run at all.</param>
    /// <exception cref="DeviceException">The environment names one that does not exist.</exception>
    public int Of(int best, Func<int, bool>? runs = null) => Number is { } number && (runs is null || runs(number)) ? number : best;

    private static int? FromEnvironment(string variable, string[] variants)
    {
        if (Environment.GetEnvironmentVariable(variable) is not { Length: > 0 } text) return null;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number < variants.Length) return number;
        throw new DeviceException($"{variable}={text}: expected a number: {string.Join(", ", variants.Select((name, i) => string.Create(CultureInfo.InvariantCulture, $"{i} ({name})")))}");
    }
}
