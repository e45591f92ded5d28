using Engine.Algorithms.Policies;
using Engine.Algorithms.Batches;
using Engine.Autodiff;
using Engine.Nn;

namespace Engine.Algorithms;

/// <summary>
/// A learning method: networks and optimisers in a state, an update that is traced into a graph, and a policy. A subclass creates its parts in its constructor and overrides <see cref="Update"/> and <see cref="Act"/>; one with
/// several stages overrides <see cref="Stages"/>.
/// </summary>
public abstract class Algorithm
{
    private readonly Variable? _mean, _std;
    private IReadOnlyList<Period> _periods = [];
    private uint _due;

    /// <summary>Adds what every algorithm has.</summary>
    protected Algorithm(AlgorithmContext context, AlgorithmSettings settings)
    {
        (Context, Settings, Parameters) = (context, settings, new Builder(context.State, context.Seed) { Input = context.Input });
        if (settings is not VectorSettings { NormalizeObservations: true }) return;
        _mean = context.State.Add("normalizer.mean", [context.ObservationSize], new float[context.ObservationSize], VariableKind.State);
        _std = context.State.Add("normalizer.std", [context.ObservationSize], Enumerable.Repeat(1f, context.ObservationSize).ToArray(), VariableKind.State);
    }

    /// <summary>State, seed and spaces.</summary>
    public AlgorithmContext Context { get; }

    /// <summary>The hyper-parameters.</summary>
    public AlgorithmSettings Settings { get; }

    /// <summary>Where networks put their parameters.</summary>
    protected Builder Parameters { get; }

    /// <summary>Whether observations are normalised, so that the dataset's statistics are needed.</summary>
    public bool Normalizes => _mean is not null;

    /// <summary>The parts of a training run; by default one that lasts all of it and draws transitions.</summary>
    public virtual IReadOnlyList<Stage> Stages => [new Stage("train", null, Update)];

    /// <summary>Actions that the policy plans at once and how many of them are carried out before it plans again; 1 and 1 unless overridden.</summary>
    public virtual (int Planned, int Executed) ActionHorizon => (1, 1);

    /// <summary>What makes rows (labelled with rewards, a context, a goal) into the variables that condition the policy; null: nothing does.</summary>
    public virtual Prompt? Prompt => null;

    /// <summary>Traces one update of the only stage: losses, optimiser steps, target networks, in this order.</summary>
    protected virtual void Update(Batch b) => throw new NotSupportedException($"{GetType().Name} has no update: override Update, or Stages");

    /// <summary>
    /// Traces the policy: actions [rows, A] within ±MaxAction (of discrete actions [rows, 1], the index), or with an action horizon [rows, planned, A].
    /// </summary>
    protected abstract Tensor Act(Acting a);

    /// <summary>Traces an update of a stage.</summary>
    /// <param name="stage">One of <see cref="Stages"/> with an update.</param>
    /// <param name="graph">Where.</param>
    /// <param name="read">The raw rows of a column of the draw of a name.</param>
    /// <param name="due">Bit i: the stage's period i is due.</param>
    /// <param name="drawn">The rows of a draw of a name in their table; null: there is none.</param>
    public void TraceUpdate(Stage stage, Graph graph, Func<string, string, (BatchColumn Column, Tensor Rows)> read, uint due, Func<string, DrawnRows?>? drawn = null)
    {
        (_periods, _due) = (stage.Periods, due);
        stage.Update!(new Batch(graph, read, Normalize, drawn));
    }

    /// <summary>Traces the policy on raw observations.</summary>
    public Tensor TracePolicy(Acting acting) => Act(acting.Normalised(Normalize));

    /// <summary>Traces samples of the trained networks, with what is known of them.</summary>
    public void TraceSamples(Sampling sampling) => Sample(sampling with { State = () => Normalize(ColumnRole.Observation, sampling.State()) });

    /// <summary>Traces samples of the trained networks: what independent implementations are compared by after the last update. States are normalised where the algorithm normalises.</summary>
    protected virtual void Sample(Sampling s) => throw new SettingsException($"{GetType().Name} draws no samples");

    /// <summary>Whether the update that is traced is one of the updates of a period, which the stage must name.</summary>
    protected bool Due(Period period)
    {
        int at = _periods.ToList().IndexOf(period);
        if (at < 0) throw new InvalidOperationException($"{GetType().Name}: {period} is not among the stage's Periods");
        return (_due >> at & 1) != 0;
    }

    /// <summary>Traces an update of another method, which is a part of this one, on a batch of this one's: what it reads is normalised already.</summary>
    /// <param name="part">The method, whose settings do not normalise.</param>
    /// <param name="stage">Its stage; the stage that is traced must have the same periods.</param>
    /// <param name="b">The batch.</param>
    protected void UpdateOf(Algorithm part, Stage stage, Batch b) => part.TraceUpdate(stage, b.Graph, (draw, column) => (BatchColumn.Number(column), b.Of(draw)[column]), _due);

    /// <summary>Traces the policy of another method, which is a part of this one.</summary>
    protected static Tensor ActOf(Algorithm part, Acting a) => part.Act(a);

    /// <summary>What networks see of raw observations.</summary>
    protected Tensor Normalised(Tensor observations) => Normalize(ColumnRole.Observation, observations);

    private Tensor Normalize(ColumnRole role, Tensor raw)
    {
        if (_mean is null || role == ColumnRole.Plain) return raw;
        Tensor Of(Variable statistic)
        {
            var all = raw.Graph.Read(statistic);
            return role == ColumnRole.Observation ? all : Context.Spaces.RequiredGoal.Of(all);
        }
        return (raw - Of(_mean)) / Of(_std!);
    }

    /// <summary>Keeps a metric for the host: a number, or several of which the log has the mean. Of several in one update the last counts.</summary>
    protected static void Report(string name, Tensor value) => value.Graph.Output(name, value, replace: true);
}

/// <summary>What an algorithm is built for.</summary>
/// <param name="State">Where its variables go.</param>
/// <param name="Seed">Seed of the initial parameters.</param>
/// <param name="Spaces">What is seen, done and asked for.</param>
public sealed record AlgorithmContext(State State, ulong Seed, Spaces Spaces)
{
    /// <summary>Copies of the environment that are interacted with at once.</summary>
    public int Copies { get; init; } = 1;

    /// <summary>What stands before every network, where the method is a part of one that sees other observations; else null.</summary>
    public Func<Builder, int, int?, InputLayer>? Input { get; init; }

    /// <summary>S.</summary>
    public int ObservationSize => Spaces.Observation.Size;

    /// <summary>What an action is.</summary>
    public ActionSpace ActionSpace => Spaces.Action;

    /// <summary>A; of discrete actions 1, the index.</summary>
    public int ActionSize => ActionSpace.Size;

    /// <summary>Number of actions.</summary>
    /// <exception cref="SettingsException">Actions are continuous.</exception>
    public int ActionCount => ActionSpace is DiscreteActions discrete ? discrete.Count : throw new SettingsException($"expected discrete actions, here are {ActionSpace}");

    /// <summary>G.</summary>
    /// <exception cref="SettingsException">The task has no goals.</exception>
    public int GoalSize => Spaces.RequiredGoal.Size;
}
