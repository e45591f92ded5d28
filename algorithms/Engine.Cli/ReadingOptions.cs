using System.CommandLine;
using Engine.Algorithms.Data;
using Engine.Algorithms.Training;

namespace Engine.Cli;

/// <summary>How a file is read: --column, and the options of a run that say so, for commands that read a dataset without a run.</summary>
internal sealed class ReadingOptions
{
    private readonly Option<string[]> _columns = Shared.Columns();
    private readonly Option<int?> _maxSteps = new("--max-steps") { Description = Help(nameof(RunConfig.MaxEpisodeSteps)) };
    private readonly Option<string?> _observations = Text(nameof(RunConfig.Observations)), _without = Text(nameof(RunConfig.Without)), _split = Text(nameof(RunConfig.Split));

    /// <summary>To add to a command.</summary>
    public IEnumerable<Option> All => [_columns, _maxSteps, _observations, _without, _split];

    /// <summary>What the user gave.</summary>
    public DatasetOptions Of(ParseResult parse) => new()
    {
        Columns = DatasetOptions.ParseColumns(parse.GetValue(_columns)!),
        MaxEpisodeSteps = parse.GetValue(_maxSteps),
        Observations = parse.GetValue(_observations),
        Without = parse.GetValue(_without),
        Split = parse.GetValue(_split),
    };

    private static Option<string?> Text(string property) => new("--" + property.ToLowerInvariant()) { Description = Help(property) };

    private static string Help(string property) => RunConfig.Options.First(o => o.Property.Name == property).Help;
}
