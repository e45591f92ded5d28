using Engine.Interop.Hdf5;

namespace Engine.Interop.Tests.Hdf5;

/// <summary>Files of the writer through the reader. The same files were opened with h5py and libhdf5 1.10 when the writer was made.</summary>
public sealed class Hdf5WriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_is_written_is_read_again()
    {
        string path = _folder.File("a.hdf5");
        var floats = Enumerable.Range(0, 600).Select(i => i * 0.25f).ToArray();
        Hdf5Writer.Write(path,
        [
            Hdf5Column.From("observations", [200, 3], floats), Hdf5Column.From("doubles", [2], [1.5, -2e300]), Hdf5Column.From("infos/steps", [3], [1, -2, int.MaxValue]),
            Hdf5Column.From("infos/deep/flags", [4], [true, false, true, true]), Hdf5Column.From("metadata/name", "maze \u00e9"), Hdf5Column.From("empty", [0, 3], Array.Empty<float>()), Hdf5Column.From("one", [], [7f]),
        ]);
        using var file = Hdf5File.Open(path);
        Assert.Equal(floats, file.Root.Dataset("observations").ReadSingles());
        Assert.Equal([200, 3], file.Root.Dataset("observations").Shape);
        Assert.Equal([1.5, -2e300], file.Root.Dataset("doubles").ReadDoubles());
        Assert.Equal([1, -2, int.MaxValue], file.Root.Dataset("infos/steps").ReadInt32s());
        Assert.Equal([1, 0, 1, 1], file.Root.Dataset("infos/deep/flags").ReadInt32s());
        Assert.Equal(["maze \u00e9"], file.Root.Dataset("metadata/name").ReadStrings());
        Assert.Empty(file.Root.Dataset("empty").ReadSingles());
        Assert.Equal([7f], file.Root.Dataset("one").ReadSingles());
        Assert.Equal(["doubles", "empty", "infos", "metadata", "observations", "one"], file.Root.Names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Thousands_of_groups_fit()
    {
        string path = _folder.File("episodes.hdf5");
        Hdf5Writer.Write(path, Enumerable.Range(0, 3000).Select(i => Hdf5Column.From($"episode_{i}/rewards", [1], [(float)i])));
        using var file = Hdf5File.Open(path);
        Assert.Equal(3000, file.Root.Names.Count);
        Assert.Equal([2999f], file.Root.Dataset("episode_2999/rewards").ReadSingles());
    }

    [Fact]
    public void Names_and_shapes_that_do_not_fit_are_refused_and_leave_no_file()
    {
        string path = _folder.File("b.hdf5");
        Assert.Throws<ArgumentException>(() => Hdf5Column.From("x", [3], [1f, 2]));
        Assert.Throws<ArgumentException>(() => Hdf5Writer.Write(path, [Hdf5Column.From("x", [1], [1f]), Hdf5Column.From("x", [1], [1f])]));
        Assert.Throws<ArgumentException>(() => Hdf5Writer.Write(path, [Hdf5Column.From("x", [1], [1f]), Hdf5Column.From("x/y", [1], [1f])]));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }
}
