using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn;

/// <summary>Settings of Adam and AdamW.</summary>
public sealed record AdamSettings
{
    /// <summary>Learning rate by update count.</summary>
    public Schedule LearningRate { get; init; } = 3e-4;

    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay (AdamW); 0 is Adam.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Gradients are scaled so that their joint 2-norm is at most this; null does not clip.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>The parameters are an ensemble's, [members, ...], and each member's gradients have a norm of their own.</summary>
    public bool GradientNormPerMember { get; init; }

    /// <summary>Added to the norm when clipping.</summary>
    public double GradientNormEpsilon { get; init; } = 1e-6;
}

/// <summary>
/// Adam (Kingma and Ba 2015) or AdamW over a set of parameters, with its own update count. Moments are the variables
/// <c>adam.first_moment.NAME</c> and <c>adam.second_moment.NAME</c>, the count is <c>adam.step.OPTIMISER</c>.
/// </summary>
public sealed class AdamOptimiser
{
    private readonly AdamSettings _settings;
    private readonly Variable _step;
    private readonly (Variable Parameter, Variable First, Variable Second)[] _slots;

    /// <summary>Adds the moments and the count to the state.</summary>
    public AdamOptimiser(State state, string name, Module module, AdamSettings settings) : this(state, name, module.Parameters, settings) { }

    /// <summary>Adds the moments and the count to the state.</summary>
    public AdamOptimiser(State state, string name, IEnumerable<Variable> parameters, AdamSettings settings)
    {
        _settings = settings;
        _step = state.AddZeros($"adam.step.{name}", TensorType.Int(Shape.Scalar));
        _slots = parameters.Select(p => (p, state.AddZeros($"adam.first_moment.{p.Name}", p.Type), state.AddZeros($"adam.second_moment.{p.Name}", p.Type))).ToArray();
    }

    /// <summary>What it trains.</summary>
    public IEnumerable<Variable> Parameters => _slots.Select(s => s.Parameter);

    /// <summary>One step down the gradient of a scalar loss: every parameter gets a new version.</summary>
    /// <returns>The norm of the gradients before it is clipped, [] or [members]; null where it is not.</returns>
    public Tensor? Minimise(Tensor loss)
    {
        var graph = loss.Graph;
        graph.Watch(loss);
        var current = Array.ConvertAll(_slots, s => graph.Read(s.Parameter));
        var gradients = Gradients.Of(loss, current);
        var norm = _settings.MaxGradientNorm is { } limit ? Clip(gradients, limit) : null;

        using var scope = graph.Scope("adam");
        var k = graph.Read(_step);
        var next = k + 1;
        graph.Assign(_step, next);
        Tensor rate = _settings.LearningRate.At(k.Cast(DType.F32)), t = next.Cast(DType.F32);
        // 1 - beta^t by expm1: in float32 the difference itself would lose half its digits.
        var correction1 = -(t * Math.Log(_settings.Beta1)).Expm1();
        var correction2 = -(t * Math.Log(_settings.Beta2)).Expm1();
        Tensor stepSize = rate / correction1, rootCorrection = correction2.Rsqrt(), decay = _settings.WeightDecay == 0 ? graph.Constant(1) : 1 - rate * _settings.WeightDecay;
        var op = new Adam(_settings.Beta1, _settings.Beta2, _settings.Epsilon);
        for (int i = 0; i < _slots.Length; i++)
        {
            var (parameter, first, second) = _slots[i];
            var updated = graph.Add(op, current[i], graph.Read(first), graph.Read(second), gradients[i], stepSize, rootCorrection, decay);
            graph.Assign(parameter, updated[0]);
            graph.Assign(first, updated[1]);
            graph.Assign(second, updated[2]);
        }
        return norm;
    }

    private Tensor Clip(Tensor[] gradients, double limit)
    {
        bool members = _settings.GradientNormPerMember;
        var norm = gradients.Select(g => members ? g.Square().Reshape(g.Shape[0], -1).Sum(1) : g.Square().Sum()).Aggregate((a, b) => a + b).Sqrt();
        var factor = (limit / (norm + _settings.GradientNormEpsilon)).Clip(double.NegativeInfinity, 1);
        for (int i = 0; i < gradients.Length; i++) gradients[i] *= members ? factor.Reshape((Shape)(int[])[factor.Shape[0], .. Enumerable.Repeat(1, gradients[i].Shape.Rank - 1)]) : factor;
        return norm;
    }
}

/// <summary>Slow copies of parameters: those of a network of the same layers.</summary>
public static class Targets
{
    /// <summary>target ← (1 - rate) target + rate online, pairwise: Polyak averaging of target networks, or an exponential moving average
    /// with decay 1 - rate.</summary>
    /// <exception cref="ShapeException">The parts are not of the same layers.</exception>
    public static void Polyak(Graph graph, Module online, Module target, double rate)
    {
        foreach (var (from, to) in Pairs(online, target))
            graph.Assign(to, Graph.Apply(new Polyak(rate), graph.Read(to), graph.Read(from)));
    }

    /// <summary>target ← online, in the graph: a hard update.</summary>
    /// <exception cref="ShapeException">The parts are not of the same layers.</exception>
    public static void Replace(Graph graph, Module online, Module target)
    {
        foreach (var (from, to) in Pairs(online, target)) graph.Assign(to, graph.Read(from));
    }

    /// <summary>Copies the values of parameters now, on the host: how a target network begins.</summary>
    /// <exception cref="ShapeException">The parts are not of the same layers.</exception>
    public static void Copy(State state, Module online, Module target)
    {
        foreach (var (from, to) in Pairs(online, target))
            if (state.Device.HoldsData) state.WriteBytes(to.Name, state.ReadBytes(from.Name));
    }

    private static IEnumerable<(Variable Online, Variable Target)> Pairs(Module online, Module target)
    {
        var (from, to) = (online.Parameters.ToArray(), target.Parameters.ToArray());
        if (from.Length != to.Length) throw new ShapeException($"a target network of {to.Length} parameters for one of {from.Length}");
        for (int i = 0; i < from.Length; i++)
            if (from[i].Type != to[i].Type) throw new ShapeException($"target {to[i].Name} is {to[i].Type}, {from[i].Name} is {from[i].Type}");
        return from.Zip(to);
    }
}
