using Engine.Interop.Hdf5;

namespace Engine.Interop.Tests.Hdf5;

/// <summary>The committed files; files/README.md says how they were made.</summary>
public class Hdf5SmallFileTests
{
    private const int Rows = 200;

    [Fact]
    public void Groups_list_their_names_in_order()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        Assert.Equal(["actions", "infos", "metadata", "observations", "rewards", "terminals", "timeouts", "version"], file.Root.Names);
        Assert.Equal(["deep", "qpos"], file.Root.Group("infos").Names);
        Assert.True(file.Root.Contains("infos/deep/label"));
        Assert.True(file.Root.Group("infos/deep").Contains("/observations"));
        Assert.False(file.Root.Contains("infos/absent/label"));
        Assert.False(file.Root.Contains("observations/x"));
        Assert.True(file.Root.IsGroup("infos") && !file.Root.IsDataset("infos"));
        Assert.True(file.Root.IsDataset("rewards") && !file.Root.IsGroup("rewards"));
        Assert.Equal("/infos/deep", file.Root.Group("infos").Group("deep").Name);
    }

    [Fact]
    public void Chunks_with_gzip_and_shuffle_are_read()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        var observations = file.Root.Dataset("observations");
        Assert.Equal([Rows, 3], observations.Shape);
        Assert.Equal(Hdf5ElementType.Float32, observations.ElementType);
        Assert.Equal(Enumerable.Range(0, Rows * 3).Select(i => i + 0.25f), observations.ReadSingles());
        Assert.Equal(Enumerable.Range(0, Rows * 3).Select(i => i + 0.25), observations.ReadDoubles());
        var qpos = file.Root.Dataset("infos/qpos");
        Assert.Equal(Hdf5ElementType.Float64, qpos.ElementType);
        Assert.Equal(Enumerable.Range(0, Rows * 2).Select(i => i / 2 + i % 2 / 2.0), qpos.ReadDoubles());
    }

    [Fact]
    public void Contiguous_data_are_read()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        Assert.Equal(Enumerable.Range(0, Rows).Select(i => i / 8f - 1), file.Root.Dataset("actions").ReadSingles());
        Assert.Equal(Enumerable.Range(0, Rows).Select(i => -i / 4f), file.Root.Dataset("rewards").ReadSingles());
        Assert.Equal(Hdf5ElementType.Boolean, file.Root.Dataset("terminals").ElementType);
        Assert.Equal(Enumerable.Range(0, Rows).Select(i => i % 100 == 99 ? 1 : 0), file.Root.Dataset("terminals").ReadInt32s());
        Assert.Equal(Enumerable.Range(0, Rows).Select(i => i % 50 == 49 ? 1L : 0), file.Root.Dataset("timeouts").ReadInt64s());
    }

    [Fact]
    public void Strings_and_scalars_are_read()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        Assert.Equal(["1.1.0"], file.Root.Dataset("version").ReadStrings());
        Assert.Empty(file.Root.Dataset("version").Shape);
        Assert.Equal(["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "", "é"], file.Root.Dataset("infos/deep/label").ReadStrings());
        var metadata = file.Root.Group("metadata");
        Assert.Equal(["CQL"], metadata.Dataset("algorithm").ReadStrings());
        Assert.Equal(["ab", "c", ""], metadata.Dataset("names").ReadStrings());
        Assert.Equal([-7], metadata.Dataset("iteration").ReadInt32s());
        Assert.Equal([1.5f], metadata.Dataset("fraction").ReadSingles());
        Assert.Equal([0.5f, -2f, 65504f], metadata.Dataset("half").ReadSingles());
        Assert.Equal([(double)(ulong.MaxValue / 2 + 6)], metadata.Dataset("big").ReadDoubles());
        Assert.Empty(metadata.Dataset("nothing").ReadSingles());
        Assert.Equal([0, 3], metadata.Dataset("no_rows").Shape);
        Assert.Empty(metadata.Dataset("no_rows").ReadSingles());
    }

    [Fact]
    public void Missing_chunks_have_the_fill_value()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        var expected = Enumerable.Repeat(3.5f, 100).ToArray();
        expected[12] = 1;
        Assert.Equal(expected, file.Root.Dataset("metadata/fill").ReadSingles());
    }

    [Fact]
    public void Attributes_are_read()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        var attributes = file.Root.Attributes;
        Assert.Equal(["bounds", "count", "env", "flag", "tags"], attributes.Keys.Order());
        Assert.Equal(["pendulum"], attributes["env"].ReadStrings());
        Assert.Equal([200L], attributes["count"].ReadInt64s());
        Assert.Equal([-2f, 2f], attributes["bounds"].ReadSingles());
        Assert.Equal([2], attributes["bounds"].Shape);
        Assert.Equal([1], attributes["flag"].ReadInt32s());
        Assert.Equal(["a", "b"], attributes["tags"].ReadStrings());
        Assert.Equal(["rad"], file.Root.Dataset("observations").Attributes["unit"].ReadStrings());
        Assert.Empty(file.Root.Group("infos").Attributes);
    }

    [Fact]
    public void Soft_links_are_followed()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        Assert.Equal([Rows, 2], file.Root.Dataset("metadata/soft").Shape);
        Assert.False(file.Root.Contains("metadata/dangling"));
        Assert.Contains("circle", Assert.Throws<InteropFormatException>(() => file.Root.Contains("metadata/circle")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_not_supported_is_named()
    {
        using var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        Assert.Equal(Hdf5ElementType.Unsupported, file.Root.Dataset("metadata/compound").ElementType);
        Refused(() => file.Root.Dataset("metadata/compound").ReadSingles(), "of type compound, which is not supported");
        Refused(() => file.Root.Contains("metadata/elsewhere"), "a link to another file, which is not supported");
        Refused(() => file.Root.Dataset("version").ReadSingles(), "asked for numbers, but its elements are of type variable-length string");
        Refused(() => file.Root.Dataset("rewards").ReadStrings(), "asked for strings");
        Refused(() => file.Root.Dataset("rewards").ReadInt32s(), "-0.25");
        Refused(() => file.Root.Dataset("metadata/big").ReadInt64s(), "does not fit 64 bits");
        Refused(() => file.Root.Dataset("infos"), "'/infos' is not a dataset");
        Refused(() => file.Root.Group("rewards"), "'/rewards' is not a group");
        Refused(() => file.Root.Dataset("infos/qpo"), "'/infos' has no 'qpo'; near it: qpos");
        Refused(() => file.Root.Dataset("infos/absent/x"), "'/infos' has no 'absent'; there are: deep, qpos");

        static void Refused(Func<object?> action, string message)
        {
            var error = Assert.Throws<InteropFormatException>(() => { action(); });
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
            Assert.StartsWith($"{error.Path}: byte {error.Offset}: ", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void New_groups_and_attributes_in_dense_storage_are_read()
    {
        using var file = Hdf5File.Open(TestFiles.Path("modern.h5"));
        Assert.Equal(36, file.Root.Names.Count);
        for (var i = 0; i < 30; i++)
            Assert.Equal(Enumerable.Range(0, i), file.Root.Dataset($"episode_{i}").ReadInt32s());
        Assert.Equal(12, file.Root.Attributes.Count);
        for (var i = 0; i < 12; i++)
            Assert.Equal([i * 0.5], file.Root.Attributes[$"attribute_{i}"].ReadDoubles());
    }

    [Fact]
    public void Chunks_with_newer_indices_are_read()
    {
        using var file = Hdf5File.Open(TestFiles.Path("modern.h5"));
        Assert.Equal(Enumerable.Range(0, Rows).Select(i => i * 0.5f), file.Root.Dataset("fixed").ReadSingles());
        Assert.Equal(Enumerable.Range(0, Rows), file.Root.Dataset("plain").ReadInt32s());
        Assert.Equal(Enumerable.Range(0, 300), file.Root.Dataset("single").ReadInt32s());
        Assert.Equal([3, 4, 5], file.Root.Dataset("goal").Shape);
        Assert.Equal(Enumerable.Range(0, 60).Select(i => (long)i), file.Root.Dataset("goal").ReadInt64s());
    }

    [Fact]
    public void Growable_axes_and_lzf_of_newer_files_are_read()
    {
        using var file = Hdf5File.Open(TestFiles.Path("modern.h5"));
        Assert.Equal(Enumerable.Range(0, 8).Select(i => (long)i), file.Root.Dataset("growable").ReadInt64s());
        var lzf = file.Root.Dataset("lzf");
        Assert.Equal(new float[100], lzf.ReadSingles());
    }

    [Fact]
    public void A_user_block_may_stand_before_the_file()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("a"), [.. new byte[1024], .. File.ReadAllBytes(TestFiles.Path("classic.h5"))]);
        using var file = Hdf5File.Open(folder.File("a"));
        Assert.Equal(Enumerable.Range(0, Rows * 3).Select(i => i + 0.25f), file.Root.Dataset("observations").ReadSingles());
    }

    [Fact]
    public void A_closed_file_is_not_read()
    {
        var file = Hdf5File.Open(TestFiles.Path("classic.h5"));
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Root.Names);
    }
}
