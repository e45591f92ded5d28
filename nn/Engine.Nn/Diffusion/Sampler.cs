using Engine.Autodiff;
using Engine.Kernels;

namespace Engine.Nn.Diffusion;

/// <summary>What a step adds up.</summary>
public enum SamplerValue
{
    /// <summary>The state before a step; 0 is where the sampler starts.</summary>
    State,
    /// <summary>The network's output in a step.</summary>
    Output,
    /// <summary>A draw of standard normals.</summary>
    Noise,
}

/// <summary>Part of a sum.</summary>
/// <param name="Value">Of what kind.</param>
/// <param name="Index">Of which step, or which draw.</param>
/// <param name="Weight">Its factor.</param>
public readonly record struct Term(SamplerValue Value, int Index, double Weight);

/// <summary>A step of a sampler: the network is asked, and the next state is a weighted sum of what there is.</summary>
/// <param name="Time">What the network is asked at; null: it is not asked.</param>
/// <param name="Terms">The sum.</param>
/// <param name="Sample">Added to it: the predicted sample of this step's state and output, limited; null: nothing.</param>
/// <param name="Limit">The next state is clipped to ± this; null: it is not.</param>
public sealed record SamplerStep(double? Time, IReadOnlyList<Term> Terms, ClippedSample? Sample = null, double? Limit = null);

/// <summary>
/// A way from noise to a sample as a table of numbers: DDPM, DDIM and the solvers of ODEs alike. <see cref="Run"/> traces all of its steps into the graph, one network and one <see cref="DenoiseStep"/> after the other: no loop on the host is
/// left, and gradients pass through it.
/// </summary>
public sealed class Sampler
{
    /// <summary>A sampler of its steps.</summary>
    /// <param name="steps">In the order they are made; at least one.</param>
    /// <param name="draws">Draws that are made, of which a step may use fewer.</param>
    public Sampler(IReadOnlyList<SamplerStep> steps, int draws = 0)
    {
        if (steps.Count < 1) throw new ArgumentException("a sampler needs at least 1 step");
        int used = steps.SelectMany(s => s.Terms).Where(t => t.Value == SamplerValue.Noise).Select(t => t.Index + 1).DefaultIfEmpty(0).Max();
        (Steps, Draws, DrawsUsed, Times) = (steps, Math.Max(draws, used), used, steps.Where(s => s.Time is not null).Select(s => s.Time!.Value).ToArray());
    }

    /// <summary>In order.</summary>
    public IReadOnlyList<SamplerStep> Steps { get; }

    /// <summary>Times at which the network is asked, in order.</summary>
    public IReadOnlyList<double> Times { get; }

    /// <summary>Draws of the state's shape, besides the start, as reference implementations make them.</summary>
    public int Draws { get; }

    /// <summary>How many of them the steps take: those of the first numbers.</summary>
    public int DrawsUsed { get; }

    /// <summary>Traces the way from a start to a sample.</summary>
    /// <param name="start">Noise, of the standard deviation that the sampler begins with.</param>
    /// <param name="network">The output for a state at <see cref="Times"/> of that number, of the state's shape.</param>
    /// <param name="noise">The draws by number; may be null where there are none.</param>
    /// <param name="revise">What becomes of the state before the step of that number before anything reads it; of the number of steps: of the result. Known parts put in, steps up a value. Null: nothing.</param>
    public Tensor Run(Tensor start, Func<Tensor, int, Tensor> network, Func<int, Tensor>? noise = null, Func<Tensor, int, Tensor>? revise = null)
    {
        var states = new List<Tensor> { revise?.Invoke(start, 0) ?? start };
        var outputs = new List<Tensor?>();
        for (int i = 0, asked = 0; i < Steps.Count; i++)
        {
            var step = Steps[i];
            outputs.Add(step.Time is null ? null : network(states[i], asked++));
            var weights = new Dictionary<(SamplerValue, int), double>(); // in the order of their first use
            if (step.Sample is not null) (weights[(SamplerValue.State, i)], weights[(SamplerValue.Output, i)]) = (0, 0);
            foreach (var (value, index, weight) in step.Terms)
                if (weight != 0) weights[(value, index)] = weights.GetValueOrDefault((value, index)) + weight;
            Tensor Of((SamplerValue Value, int Index) key) => key.Value switch
            {
                SamplerValue.State => states[key.Index],
                SamplerValue.Output => outputs[key.Index] ?? throw new InvalidOperationException($"step {i} of the sampler takes the output of step {key.Index}, in which the network is not asked"),
                _ => noise is null ? throw new ArgumentNullException(nameof(noise), $"step {i} of the sampler takes a draw") : noise(key.Index),
            };
            var next = Graph.Apply(new DenoiseStep(new Numbers([.. weights.Values]), step.Sample, step.Limit), [.. weights.Keys.Select(Of)]);
            states.Add(revise?.Invoke(next, i + 1) ?? next);
        }
        return states[^1];
    }
}
