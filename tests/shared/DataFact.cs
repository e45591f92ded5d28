namespace Engine.Tests;

/// <summary>Where real data and fixtures lie: ENGINE_DATA, else a folder <c>shared</c> beside the checkout. Absent for strangers.</summary>
internal static class SharedData
{
    public static string? Root { get; } = Find();

    public static string Path(string relative) => System.IO.Path.Combine(Root!, relative);

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("ENGINE_DATA") is { Length: > 0 } given) return Directory.Exists(given) ? System.IO.Path.GetFullPath(given) : null;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "Engine.sln")) && Directory.Exists(System.IO.Path.Combine(folder.FullName, "..", "shared", "data")))
                return System.IO.Path.GetFullPath(System.IO.Path.Combine(folder.FullName, "..", "shared"));
        return null;
    }
}

/// <summary>A test that needs the shared data; skipped with the reason where they are absent.</summary>
internal sealed class DataFactAttribute : FactAttribute
{
    public DataFactAttribute()
    {
        if (SharedData.Root is null) Skip = "needs the shared data (set ENGINE_DATA)";
    }
}

/// <summary>A theory that needs the shared data; skipped with the reason where they are absent.</summary>
internal sealed class DataTheoryAttribute : TheoryAttribute
{
    public DataTheoryAttribute()
    {
        if (SharedData.Root is null) Skip = "needs the shared data (set ENGINE_DATA)";
    }
}
