using System.CommandLine;
using System.Text.Json.Nodes;
using Engine.Algorithms.Training;
using Engine.Kernels;

namespace Engine.Cli;

/// <summary>The options of a run (<see cref="RunConfig.Options"/>) on the command line.</summary>
internal sealed class RunOptions
{
    private readonly List<(string Key, Option Option, Func<ParseResult, JsonNode?> Value)> _options = [];

    public static RunOptions Create()
    {
        var options = new RunOptions();
        var defaults = new Dictionary<string, JsonNode?>();
        foreach (var (name, key, help, property) in RunConfig.Options)
        {
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (type == typeof(int)) options.Add(key, new Option<int?>(name) { Description = help });
            else if (type == typeof(ulong)) options.Add(key, new Option<ulong?>(name) { Description = help });
            else if (type == typeof(bool)) options.Add(key, new Option<bool?>(name) { Description = help, Arity = ArgumentArity.Zero });
            else if (type == typeof(Precision))
            {
                var option = Shared.Precision(help);
                options._options.Add((key, option, parse => Shared.ParsePrecision(parse.GetValue(option)!).Name()));
            }
            else if (type == typeof(double)) options.Add(key, new Option<double?>(name) { Description = help });
            else if (type == typeof(string[]))
            {
                var option = new Option<string[]>(name) { Description = help, DefaultValueFactory = _ => [] };
                options._options.Add((key, option, parse => new JsonArray(parse.GetValue(option)!.Select(v => (JsonNode?)JsonValue.Create(v)).ToArray())));
            }
            else if (key == "environment") options.Add(key, Shared.Environments(help));
            else if (type == typeof(string)) options.Add(key, new Option<string?>(name) { Description = help });
            else throw new NotSupportedException($"option {name} of type {type.Name}");
        }
        return options;
    }

    private void Add<T>(string key, Option<T> option) => _options.Add((key, option, parse => JsonValue.Create(parse.GetValue(option))));

    public IEnumerable<Option> All => _options.Select(o => o.Option);

    /// <summary>Those that the user gave, by their names in files.</summary>
    public IEnumerable<KeyValuePair<string, JsonNode?>> Given(ParseResult parse) =>
        _options.Where(o => parse.GetResult(o.Option) is { Implicit: false }).Select(o => KeyValuePair.Create(o.Key, o.Key == "restart_episodes" ? JsonValue.Create(true) : o.Value(parse)));
}
