using Engine.Algorithms.Batches;
using Engine.Interop;

namespace Engine.Algorithms.Data;

/// <summary>
/// Offline data as recorded: rows in order, in the environment's units, whatever layout they came in. A terminal (the task ended), a timeout (the episode was cut
/// off) and the end of a trajectory (the next row belongs to another one) are three things. <see cref="TransitionDataset"/> is the view that is trained on.
/// </summary>
public sealed record Dataset
{
    /// <summary>File or generator, for messages.</summary>
    public required string Source { get; init; }

    /// <summary>Layout it was recognised as.</summary>
    public required string Layout { get; init; }

    /// <summary>S.</summary>
    public required int ObservationSize { get; init; }

    /// <summary>What an action is, as far as the data say it; null if they do not.</summary>
    public ActionSpace? ActionSpace { get; init; }

    /// <summary>A; 1 of discrete actions.</summary>
    public required int ActionSize { get; init; }

    /// <summary>[N, S]</summary>
    public required float[] Observations { get; init; }

    /// <summary>[N, A] in the environment's units; of discrete actions [N], the index.</summary>
    public required float[] Actions { get; init; }

    /// <summary>[N]</summary>
    public required float[] Rewards { get; init; }

    /// <summary>[N]: the task ended with this row.</summary>
    public required bool[] Terminals { get; init; }

    /// <summary>[N]: a time limit cut the episode off after this row.</summary>
    public required bool[] Timeouts { get; init; }

    /// <summary>[N]: the trajectory ends with this row, by a terminal, a time limit or the end of the recording. Some recordings go on behind a terminal: then this says where they end.</summary>
    public required bool[] Ends { get; init; }

    /// <summary>[N, S], or null: then the next row of the trajectory.</summary>
    public float[]? NextObservations { get; init; }

    /// <summary>Columns beside the usual ones: labels, returns to go, images, tokens; values are float[], int[] or byte[], row by row.</summary>
    public IReadOnlyList<(BatchColumn Column, Array Values)> Further { get; init; } = [];

    /// <summary>Environment the data come from, if they say so or it is known.</summary>
    public string? Environment { get; init; }

    /// <summary>Returns that count as 0 and 100 of the normalised score, if the file states them (Minari).</summary>
    public (double Min, double Max)? References { get; init; }

    /// <summary>What a user should know about how the file was read.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>What the file holds: names with shape and type, and what is not read with the reason. Empty for made data.</summary>
    public IReadOnlyList<(string Name, string Shape, string Type)> Keys { get; init; } = [];

    /// <summary>Components of the observations whose values the file tells apart and 32 bits do not.</summary>
    public IReadOnlyList<int> Rounded { get; init; } = [];

    /// <summary>N.</summary>
    public int Count => Rewards.Length;

    /// <summary>The trajectories in order, as ranges of rows.</summary>
    public IEnumerable<Range> Episodes()
    {
        int first = 0;
        for (int i = 0; i < Count; i++)
        {
            if (!Ends[i] && i + 1 < Count) continue;
            yield return first..(i + 1);
            first = i + 1;
        }
    }

    /// <summary>Whether a source is made, and not read from a file of that name.</summary>
    public static bool IsMade(string source) => BuiltinDatasets.Names(source) || Policies.Generator.Names(source);

    /// <summary>Loads a dataset.</summary>
    /// <param name="source">A file (.h5, .hdf5, .npz, .parquet, .csv), a folder of them, of Minari or of LeRobot, <c>builtin:NAME[,quality=Q][,rows=N][,seed=S]</c>, or <c>sample:RUN[,count=N][,seed=S]</c>.</param>
    /// <param name="options">What the file does not say.</param>
    /// <exception cref="DatasetException">Missing, of an unknown layout, or damaged: one line with file, place and what was expected.</exception>
    public static Dataset Load(string source, DatasetOptions? options = null)
    {
        options ??= new DatasetOptions();
        options.Validate();
        if (BuiltinDatasets.Names(source)) return BuiltinDatasets.Load(source);
        if (Policies.Generator.Names(source)) return Policies.Generator.Load(source);
        try
        {
            return DatasetLayouts.Read(source, options);
        }
        catch (InteropFormatException e) { throw new DatasetException(e.Message); }
        catch (IOException e) { throw new DatasetException($"{source}: cannot be read: {e.Message}"); }
        catch (UnauthorizedAccessException e) { throw new DatasetException($"{source}: cannot be read: {e.Message}"); }
    }
}

/// <summary>What a file does not say about itself.</summary>
public sealed record DatasetOptions
{
    /// <summary>Column for a quantity (observations, actions, rewards, next_observations, terminals, timeouts, episode, ...), where its name is not a usual one.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>Observation arrays to join, in this order, with commas between them, where a file has several; null for all that are vectors.</summary>
    public string? Observations { get; init; }

    /// <summary>Observation arrays to leave out, with commas between them.</summary>
    public string? Without { get; init; }

    /// <summary>Part of the episodes to read, of those that the file names (robomimic's masks; val of OGBench's folders); null for all but what is kept for validation.</summary>
    public string? Split { get; init; }

    /// <summary>Steps of an episode: cuts trajectories of files that have no timeouts.</summary>
    public int? MaxEpisodeSteps { get; init; }

    /// <summary>Parses QUANTITY=COLUMN texts.</summary>
    /// <exception cref="SettingsException">A text has no equals sign, or a quantity occurs twice.</exception>
    public static IReadOnlyDictionary<string, string> ParseColumns(IEnumerable<string> texts)
    {
        var columns = new Dictionary<string, string>();
        foreach (string text in texts)
        {
            int at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 1) throw new SettingsException($"--column {text}: expected QUANTITY=COLUMN, such as observations=state");
            if (!columns.TryAdd(text[..at], text[(at + 1)..])) throw new SettingsException($"--column {text}: {text[..at]} has the column {columns[text[..at]]} already");
        }
        return columns;
    }

    /// <summary>Throws for an unknown quantity or a number out of range.</summary>
    public void Validate()
    {
        foreach (string quantity in Columns.Keys)
            if (!Layouts.Quantities.All.Contains(quantity)) throw new SettingsException($"column {quantity} is unknown; {NearNames.Describe(quantity, Layouts.Quantities.All)}");
        if (Observations is { } chosen && chosen.Split(',').Any(string.IsNullOrWhiteSpace)) throw new SettingsException($"observations={chosen}: expected names with commas between them");
        if (Without is { } without && without.Split(',').Any(string.IsNullOrWhiteSpace)) throw new SettingsException($"without={without}: expected names with commas between them");
        if (Columns.ContainsKey(Layouts.Quantities.Observations) && Observations is not null) throw new SettingsException("observations are named twice: by the option of their own and as a column; give one of both");
        if (MaxEpisodeSteps is < 1) throw new SettingsException($"max_steps={MaxEpisodeSteps}: expected at least 1");
    }
}
