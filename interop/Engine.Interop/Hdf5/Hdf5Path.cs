namespace Engine.Interop.Hdf5;

/// <summary>An object that a path leads to; Group is null where it is none.</summary>
internal sealed record Hdf5Found(Hdf5ObjectHeader Header, Hdf5Group? Group, string Name);

/// <summary>Walks paths, through soft links too.</summary>
internal static class Hdf5Path
{
    // Both bound what a hostile file with links in a circle can cost.
    private const int MaximumNames = 256;
    private const int MaximumSoftLinks = 16;

    /// <summary>The object at a path, or null where a name is missing.</summary>
    public static Hdf5Found? Find(Hdf5Group start, string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var softLinks = 0;
        return Find(start, path, ref softLinks);
    }

    /// <summary>The last group on a path that exists, and the first name that it does not have.</summary>
    public static (Hdf5Group Group, string Absent) Deepest(Hdf5Group start, string path)
    {
        var group = path.StartsWith('/') ? start.File.Root : start;
        foreach (var name in Split(group, path))
        {
            if (Find(group, name) is not { Group: { } next })
                return (group, name);
            group = next;
        }
        return (group, "");
    }

    private static Hdf5Found? Find(Hdf5Group start, string path, ref int softLinks)
    {
        var found = (path.StartsWith('/') ? start.File.Root : start).Self();
        foreach (var name in Split(start, path))
        {
            if (found.Group is not { } group || !group.TryLink(name, out var link))
                return null;
            if (link.Unsupported is not null)
                throw start.File.Source.Fail(group.Address, $"'{name}' in '{group.Name}' is {link.Unsupported}, which is not supported");
            if (link.Target is null)
            {
                found = group.Child(name, link);
                continue;
            }
            if (++softLinks > MaximumSoftLinks)
                throw start.File.Source.Fail(group.Address, $"'{name}' in '{group.Name}' goes through more than {MaximumSoftLinks} soft links: they form a circle");
            if (Find(group, link.Target, ref softLinks) is not { } target)
                return null;
            found = target;
        }
        return found;
    }

    private static string[] Split(Hdf5Group start, string path)
    {
        var names = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (names.Length > MaximumNames)
            throw start.File.Source.Fail(start.Address, $"a path has {names.Length} names; expected at most {MaximumNames}");
        return Array.FindAll(names, name => name != ".");
    }
}
