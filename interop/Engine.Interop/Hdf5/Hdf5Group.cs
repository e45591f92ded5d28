namespace Engine.Interop.Hdf5;

/// <summary>A group: named groups and datasets. Paths are relative, with '/' between names; a leading '/' starts at the root.</summary>
public sealed class Hdf5Group
{
    private readonly Hdf5File file;
    private readonly Hdf5ObjectHeader header;
    private readonly Dictionary<string, Hdf5Group> children = new(StringComparer.Ordinal);
    private readonly Lazy<Dictionary<string, Hdf5Link>> links;
    private readonly Lazy<IReadOnlyList<string>> names;
    private readonly Lazy<IReadOnlyDictionary<string, Hdf5Attribute>> attributes;

    internal Hdf5Group(Hdf5File file, Hdf5ObjectHeader header, string name)
    {
        this.file = file;
        this.header = header;
        Name = name;
        links = new(() => Hdf5Links.Read(file.Source, header));
        names = new(() => links.Value.Keys.Order(StringComparer.Ordinal).ToList().AsReadOnly());
        attributes = new(() => Hdf5Attributes.Read(file, header));
    }

    /// <summary>The path from the root, which is "/".</summary>
    public string Name { get; }

    /// <summary>The names in the group in ordinal order, as h5py lists them: episode_10 comes before episode_2.</summary>
    /// <exception cref="InteropFormatException">The group's tables are damaged.</exception>
    public IReadOnlyList<string> Names => names.Value;

    /// <summary>The attributes by name.</summary>
    /// <exception cref="InteropFormatException">One of them is damaged.</exception>
    public IReadOnlyDictionary<string, Hdf5Attribute> Attributes => attributes.Value;

    internal long Address => header.Address;

    /// <summary>Whether there is an object at this path; links that lead nowhere do not count.</summary>
    public bool Contains(string path) => Hdf5Path.Find(this, path) is not null;

    /// <summary>Whether there is a group at this path.</summary>
    public bool IsGroup(string path) => Hdf5Path.Find(this, path) is { Group: not null };

    /// <summary>Whether there is a dataset at this path.</summary>
    public bool IsDataset(string path) => Hdf5Path.Find(this, path) is { Header: { } found } && IsDataset(found);

    /// <summary>The group at this path.</summary>
    /// <exception cref="InteropFormatException">There is none, or it is damaged.</exception>
    public Hdf5Group Group(string path)
    {
        var found = Hdf5Path.Find(this, path) ?? throw Missing(path, "group");
        return found.Group ?? throw file.Source.Fail(found.Header.Address, $"'{found.Name}' is not a group");
    }

    /// <summary>The dataset at this path.</summary>
    /// <exception cref="InteropFormatException">There is none, or it is damaged, or its layout or filters are not supported.</exception>
    public Hdf5Dataset Dataset(string path)
    {
        var found = Hdf5Path.Find(this, path) ?? throw Missing(path, "dataset");
        if (!IsDataset(found.Header))
            throw file.Source.Fail(found.Header.Address, $"'{found.Name}' is not a dataset");
        return Hdf5Dataset.Open(file, found.Header, found.Name);
    }

    internal Hdf5File File => file;

    internal bool TryLink(string name, out Hdf5Link link) => links.Value.TryGetValue(name, out link);

    /// <summary>The child that a hard link leads to: a group is kept, so that deep paths do not parse it again.</summary>
    internal Hdf5Found Child(string name, Hdf5Link link)
    {
        var full = Name == "/" ? "/" + name : Name + "/" + name;
        if (children.TryGetValue(name, out var known))
            return new Hdf5Found(known.header, known, known.Name);
        if (link.Address == Hdf5Source.Undefined)
            throw file.Source.Fail(Address, $"the address of '{full}' is undefined");
        var target = Hdf5ObjectHeader.Read(file.Source, link.Address);
        var group = Hdf5Links.AreIn(target) ? new Hdf5Group(file, target, full) : null;
        if (group is not null)
            children.Add(name, group);
        return new Hdf5Found(target, group, full);
    }

    internal Hdf5Found Self() => new(header, this, Name);

    private static bool IsDataset(Hdf5ObjectHeader header) => header.Has(Hdf5ObjectHeader.Layout) && header.Has(Hdf5ObjectHeader.Dataspace);

    private InteropFormatException Missing(string path, string kind)
    {
        // The deepest group that exists knows the names that the user may have meant.
        var (group, rest) = Hdf5Path.Deepest(this, path);
        return file.Source.Fail(group.Address, $"there is no {kind} '{path}': '{group.Name}' has no '{rest}'; {NearNames.Describe(rest, group.Names)}");
    }
}
