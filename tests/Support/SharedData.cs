namespace Engine.Tests;

/// <summary>Finds the shared data: the folder in ENGINE_DATA, else a folder named shared beside this checkout or above it.</summary>
internal static class SharedData
{
    public static readonly string? Root = FindRoot();

    public const string Absent = "needs the shared datasets and fixtures: set ENGINE_DATA to the folder that has DESIGN.md, data/ and fixtures/";

    public static string Path(string relative) => System.IO.Path.Combine(Root ?? throw new InvalidOperationException(Absent), relative);

    private static string? FindRoot()
    {
        if (Environment.GetEnvironmentVariable("ENGINE_DATA") is { Length: > 0 } stated)
            return Directory.Exists(stated) ? stated : null;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = System.IO.Path.Combine(folder.FullName, "shared");
            if (File.Exists(System.IO.Path.Combine(candidate, "DESIGN.md")))
                return candidate;
        }
        return null;
    }
}

/// <summary>A test that needs shared data, and says so where they are absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DataFactAttribute : FactAttribute
{
    public DataFactAttribute()
    {
        if (SharedData.Root is null)
            Skip = SharedData.Absent;
    }
}

/// <summary>A test with several inputs that needs shared data, and says so where they are absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DataTheoryAttribute : TheoryAttribute
{
    public DataTheoryAttribute()
    {
        if (SharedData.Root is null)
            Skip = SharedData.Absent;
    }
}
