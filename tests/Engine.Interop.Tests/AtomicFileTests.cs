namespace Engine.Interop.Tests;

public class AtomicFileTests
{
    [Fact]
    public void Replaces_a_file_and_leaves_nothing_else()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("state.bin");
        File.WriteAllText(path, "old");
        AtomicFile.Write(path, stream => stream.Write("new"u8));
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void A_failing_writer_keeps_the_old_file_and_leaves_nothing_else()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("state.bin");
        File.WriteAllText(path, "old");
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(path, stream =>
        {
            stream.Write("half"u8);
            throw new InvalidOperationException();
        }));
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void A_rename_that_fails_leaves_nothing_else()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("taken");
        Directory.CreateDirectory(path);
        Assert.ThrowsAny<Exception>(() => AtomicFile.Write(path, stream => stream.WriteByte(1)));
        Assert.Equal([path], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void An_absent_folder_is_an_error_of_input_and_output()
    {
        using var folder = new TemporaryFolder();
        Assert.ThrowsAny<IOException>(() => AtomicFile.Write(Path.Combine(folder.Path, "absent", "a"), stream => stream.WriteByte(1)));
    }

    [Fact]
    public void Long_names_are_written()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File(new string('n', 250));
        AtomicFile.Write(path, stream => stream.WriteByte(7));
        Assert.Equal([7], File.ReadAllBytes(path));
    }

    [Fact]
    public void Stale_files_are_removed_and_living_and_foreign_ones_kept()
    {
        using var folder = new TemporaryFolder();
        var stale = "";
        AtomicFile.Write(folder.File("a"), stream =>
        {
            // A copy under the same name pattern is what a killed writer leaves.
            var living = Assert.Single(Directory.GetFiles(folder.Path));
            stale = living.Replace(".engine-tmp", "0.engine-tmp", StringComparison.Ordinal);
            File.WriteAllText(stale, "left over");
            File.WriteAllText(folder.File("b.engine-tmp"), "has no leading dot");
            Assert.Equal(1, AtomicFile.RemoveStale(folder.Path));
            Assert.True(File.Exists(living));
        });
        Assert.False(File.Exists(stale));
        Assert.Equal(["a", "b.engine-tmp"], Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order());
        Assert.Equal(0, AtomicFile.RemoveStale(folder.File("absent")));
    }
}
