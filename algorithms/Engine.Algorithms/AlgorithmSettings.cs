using System.Reflection;
using Engine.Nn;

namespace Engine.Algorithms;

/// <summary>Hyper-parameters every algorithm has. In files and on the command line names are in snake_case; choices are enums; ranges are attributes.</summary>
public abstract record AlgorithmSettings
{
    /// <summary>Rows of a batch.</summary>
    [Source("CORL: 256"), AtLeast(1)]
    public int BatchSize { get; init; } = 256;

    /// <summary>Decay of Adam's first moment.</summary>
    [Between(0, 1)]
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>Decay of Adam's second moment.</summary>
    [Between(0, 1)]
    public double AdamBeta2 { get; init; } = 0.999;

    /// <summary>Adam's epsilon.</summary>
    [AtLeast(0)]
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay (AdamW); 0 is Adam.</summary>
    [AtLeast(0)]
    public double WeightDecay { get; init; }

    /// <summary>Throws unless every value is in its range. An override adds relations between settings; ranges of one are attributes.</summary>
    /// <exception cref="SettingsException">Says which value, and what was expected.</exception>
    public virtual void Validate()
    {
        foreach (var property in GetType().GetProperties())
            foreach (var range in property.GetCustomAttributes<RangeAttribute>())
                range.Check(SettingsJson.NameOf(property), property.GetValue(this));
    }

    /// <summary>Throws unless the condition holds.</summary>
    protected static void Require(bool condition, string name, object value, string expected)
    {
        if (!condition) throw new SettingsException($"{name}={value}: expected {expected}");
    }

    /// <summary>Adam with these settings.</summary>
    public AdamSettings Adam(Schedule learningRate) => new()
    {
        LearningRate = learningRate,
        Beta1 = AdamBeta1,
        Beta2 = AdamBeta2,
        Epsilon = AdamEpsilon,
        WeightDecay = WeightDecay,
    };
}

/// <summary>What methods on vectors of observations need besides.</summary>
public abstract record VectorSettings : AlgorithmSettings
{
    /// <summary>Width of each hidden layer.</summary>
    [Source("CORL: 256 each"), AtLeast(1)]
    public int[] HiddenSizes { get; init; } = [256, 256, 256];

    /// <summary>Activation between layers.</summary>
    public string Activation { get; init; } = "relu";

    /// <summary>Networks see (observation - mean) / std of the dataset.</summary>
    public bool NormalizeObservations { get; init; }

    /// <summary>Added to the standard deviation when normalising.</summary>
    [Source("CORL: 1e-3"), AtLeast(0)]
    public double NormalizerEpsilon { get; init; } = 1e-3;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        try { Activations.Named(Activation); }
        catch (ArgumentException e) { throw new SettingsException($"activation={Activation}: {e.Message}"); }
    }

    /// <summary>The hidden layers, with PyTorch's initial values.</summary>
    public MlpSettings Network() => new() { HiddenSizes = HiddenSizes, Activation = Activations.Named(Activation) };
}

/// <summary>What methods with continuous actions need besides.</summary>
public abstract record ContinuousSettings : VectorSettings
{
    /// <summary>Actions lie within ± this; 1 unless a fixture states another bound.</summary>
    [Above(0)]
    public double MaxAction { get; init; } = 1;
}

/// <summary>Where a default comes from.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SourceAttribute(string text) : Attribute
{
    /// <summary>Paper, repository or table.</summary>
    public string Text => text;
}

/// <summary>A range of numbers; of a list, for each of them; null is in every range.</summary>
[AttributeUsage(AttributeTargets.Property)]
public abstract class RangeAttribute : Attribute
{
    /// <summary>Whether a number is in it (NaN is in none).</summary>
    protected abstract bool Holds(double value);

    /// <summary>In words.</summary>
    protected abstract string Words { get; }

    /// <summary>Throws unless the value is in the range.</summary>
    /// <exception cref="SettingsException">Says what was expected.</exception>
    public void Check(string name, object? value)
    {
        switch (value)
        {
            case null: return;
            case int[] list:
                if (list.Length == 0 || !list.All(v => Holds(v))) throw new SettingsException($"{name}={string.Join(",", list)}: expected at least one number, each {Words}");
                return;
            default:
                if (!Holds(Convert.ToDouble(value, System.Globalization.CultureInfo.InvariantCulture))) throw new SettingsException(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{name}={value}: expected {Words}"));
                return;
        }
    }
}

/// <summary>At least a number.</summary>
public sealed class AtLeastAttribute(double least) : RangeAttribute
{
    /// <inheritdoc/>
    protected override bool Holds(double value) => value >= least;

    /// <inheritdoc/>
    protected override string Words => $"at least {least}";
}

/// <summary>Above a number.</summary>
public sealed class AboveAttribute(double bound) : RangeAttribute
{
    /// <inheritdoc/>
    protected override bool Holds(double value) => value > bound;

    /// <inheritdoc/>
    protected override string Words => $"above {bound}";
}

/// <summary>From one number to another, both included.</summary>
public sealed class WithinAttribute(double low, double high) : RangeAttribute
{
    /// <inheritdoc/>
    protected override bool Holds(double value) => value >= low && value <= high;

    /// <inheritdoc/>
    protected override string Words => $"{low} to {high}";
}

/// <summary>Between two numbers, both excluded.</summary>
public sealed class BetweenAttribute(double low, double high) : RangeAttribute
{
    /// <inheritdoc/>
    protected override bool Holds(double value) => value > low && value < high;

    /// <inheritdoc/>
    protected override string Words => $"between {low} and {high}";
}
