using Engine.Algorithms.Batches;
using Engine.Algorithms.Training;

namespace Engine.Algorithms;

/// <summary>
/// A part of a training run. It lasts so many steps; at each the traced update runs, if the stage has one, and duties do what the host has to do between. An algorithm is a list of stages, by default a single one.
/// </summary>
/// <param name="Name">In the progress line, metrics and reports.</param>
/// <param name="Steps">How many steps; null: as many as are left of the run's.</param>
/// <param name="Update">Traces one update; null: the host's duties do all the work.</param>
public sealed record Stage(string Name, int? Steps, Action<Batch>? Update)
{
    /// <summary>What an update draws; by default transitions of the source "offline".</summary>
    public IReadOnlyList<Draw> Draws { get; init; } = [new Draw(new Transitions())];

    /// <summary>What happens on some updates only: <see cref="Algorithm.Due"/> asks for one of these.</summary>
    public IReadOnlyList<Period> Periods { get; init; } = [];

    /// <summary>What the host does between updates, besides what it does in every run (logging, evaluations, checkpoints).</summary>
    public IReadOnlyList<IDuty> Duties { get; init; } = [];

    /// <summary>The periods that are due at an update of the stage: bit i of period i.</summary>
    public uint DueAt(int update)
    {
        uint due = 0;
        for (int i = 0; i < Periods.Count; i++)
            if (Periods[i].Holds(update)) due |= 1u << i;
        return due;
    }
}

/// <summary>Updates first, first + every, first + 2 every, ... of a stage, counted from 0; those before a number left out.</summary>
/// <param name="Every">At least 1.</param>
/// <param name="First">0 to Every - 1.</param>
/// <param name="From">No update before this one is due.</param>
public readonly record struct Period(int Every, int First, int From = 0)
{
    /// <summary>The every-th update, the 2 every-th and so on: TD3's policy.</summary>
    public static Period Last(int every) => new(every, every - 1);

    /// <summary>Whether an update of that number is one of them.</summary>
    public bool Holds(int update) => update >= From && update % Every == First;
}

/// <summary>What an update draws of a source. Draws of one name make one batch together, evenly mixed.</summary>
/// <param name="Kind">How rows become a batch.</param>
/// <param name="Source">Name of the data: "offline" for a single dataset, the names of --dataset NAME=FILE, or that of a buffer which an <see cref="Interact"/> fills.</param>
/// <param name="Name">Of the batch, <see cref="Batch.Of"/>; its columns are NAME_COLUMN in fixtures. "": the batch itself.</param>
/// <param name="Share">Share of the algorithm's batch size, above 0.</param>
/// <param name="Weight">Column to whose values the chances of rows are proportional; null: all alike.</param>
public sealed record Draw(BatchKind Kind, string Source = Draw.Offline, string Name = "", double Share = 1, string? Weight = null)
{
    /// <summary>The source of a single dataset.</summary>
    public const string Offline = "offline";

    /// <summary>The usual name of the buffer of an agent's own experience.</summary>
    public const string Online = "online";

    /// <summary>Rows that no update draws: evaluations compute losses on them.</summary>
    public const string HeldOut = "heldout";
}
