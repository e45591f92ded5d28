using Engine.Autodiff;

namespace Engine.Nn;

/// <summary>A number that changes with the update count k = 0, 1, ..., computed on the device from its step counter.</summary>
public abstract record Schedule
{
    /// <summary>The value at update k (F32 scalar).</summary>
    public abstract Tensor At(Tensor k);

    /// <summary>Always the same.</summary>
    public static implicit operator Schedule(double value) => new ConstantSchedule(value);
}

/// <summary>Always <paramref name="Value"/>.</summary>
public sealed record ConstantSchedule(double Value) : Schedule
{
    /// <inheritdoc/>
    public override Tensor At(Tensor k) => k.Graph.Constant(Value);
}

/// <summary>From <paramref name="Start"/> to <paramref name="End"/> in a straight line over <paramref name="Updates"/>, then constant.</summary>
public sealed record LinearSchedule(double Start, double End, int Updates) : Schedule
{
    /// <inheritdoc/>
    public override Tensor At(Tensor k) => (k * (1.0 / Updates)).Clip(0, 1) * (End - Start) + Start;
}

/// <summary>Value (1 + cos(pi k / Updates)) / 2 (Loshchilov and Hutter 2017), 0 from k = Updates on.</summary>
public sealed record CosineSchedule(double Value, int Updates) : Schedule
{
    /// <inheritdoc/>
    public override Tensor At(Tensor k) => ((k * (1.0 / Updates)).Clip(0, 1) * Math.PI).Cos() * (Value / 2) + Value / 2;
}

/// <summary>Rises in a straight line over <paramref name="Updates"/> to the value of another schedule, then follows it.</summary>
public sealed record WarmUpSchedule(Schedule Then, int Updates) : Schedule
{
    /// <inheritdoc/>
    public override Tensor At(Tensor k) => ((k + 1) * (1.0 / Updates)).Clip(0, 1) * Then.At(k);
}
