using Engine.Autodiff.Passes;
using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>Which passes run, by their names (<see cref="Names"/>). None changes a result by a bit.</summary>
public sealed class CompileOptions
{
    private readonly HashSet<string> _off;

    /// <summary>All but those that the environment turns off: ENGINE_NO_CSE=1 and so on, a variable a pass.</summary>
    public CompileOptions() : this(Pass.All.Where(p => EnvironmentSwitch.IsSet(p.OffSwitch)).Select(p => p.Name)) { }

    private CompileOptions(IEnumerable<string> off) => _off = [.. off];

    /// <summary>Everything off: the trace as it stands.</summary>
    public static CompileOptions None { get; } = new(Names);

    /// <summary>The passes in the order in which they run first, then the decisions of the memory plan.</summary>
    public static IEnumerable<string> Names => Pass.All.Select(p => p.Name);

    /// <summary>Whether a pass runs.</summary>
    /// <exception cref="ArgumentException">There is no such pass.</exception>
    public bool Runs(string pass) => !_off.Contains(Known(pass));

    /// <summary>These options with some passes off.</summary>
    /// <exception cref="ArgumentException">There is no such pass.</exception>
    public CompileOptions Without(params IEnumerable<string> passes) => new(_off.Union(passes.Select(Known)));

    /// <summary>These options with some passes on.</summary>
    /// <exception cref="ArgumentException">There is no such pass.</exception>
    public CompileOptions With(params IEnumerable<string> passes) => new(_off.Except(passes.Select(Known)));

    /// <inheritdoc/>
    public override string ToString() => _off.Count == 0 ? "all passes" : $"without {string.Join(", ", Names.Where(_off.Contains))}";

    private static string Known(string pass) => Names.Contains(pass) ? pass : throw new ArgumentException($"no pass {pass}; there are {string.Join(", ", Names)}", nameof(pass));
}

/// <summary>How much programs say on standard error, from ENGINE_DEBUG: 1 what was compiled and for which device; 2 also every kernel with
/// time and rates in the third run; 3 also the chosen variants and the memory plan; 4 also the graph before and after the passes, and how many nodes each pass left.</summary>
public static class DebugOutput
{
    /// <summary>0 to 4.</summary>
    public static int Level { get; set; } = int.TryParse(Environment.GetEnvironmentVariable("ENGINE_DEBUG"), out int level) ? level : 0;

    internal static void Say(int level, Func<string> text)
    {
        if (Level >= level) Console.Error.WriteLine(text());
    }
}
