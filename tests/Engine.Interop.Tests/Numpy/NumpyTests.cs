using System.IO.Compression;
using System.Text;
using Engine.Interop.Numpy;

namespace Engine.Interop.Tests.Numpy;

public sealed class NumpyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Arrays_that_NumPy_wrote_are_read()
    {
        using var file = NpzFile.Open(TestFiles.Path("numpy.npz"));
        Assert.Equal(["objects"], file.Skipped.Select(s => s.Name));
        Assert.Equal([2, 3, 4], file.Shape("fortran"));
        Assert.Equal(Enumerable.Range(0, 24).Select(i => (double)i), file.Read("fortran").ToDoubles());
        Assert.Equal([0f, 1, 2, 3], file.Read("big").ToSingles());
        Assert.Equal([-7], file.Read("scalar").ToDoubles());
        Assert.Empty(file.Shape("scalar"));
        Assert.Equal([0, 3], file.Shape("empty"));
        Assert.Empty(file.Read("empty").ToSingles());
        Assert.Equal(["ab", "cde"], file.Read("text").ToStrings());
        Assert.Equal(["xy"], file.Read("raw").ToStrings());
        Assert.Equal([0f, 1, 2], file.Read("half").ToSingles());
        Assert.Equal([250], file.Read("unsigned").ToDoubles());
        Assert.Equal([-2, 3], file.Read("short").ToDoubles());
        Assert.Equal([true, false], file.Read("flags").ToBooleans());
        Assert.False(file.Contains("objects"));
        Assert.Contains("near it: text", Assert.Throws<InteropFormatException>(() => file.Read("texts")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_is_written_is_read_again(bool compress)
    {
        string path = _folder.File("a.npz");
        float[] values = Enumerable.Range(0, 1000).Select(i => i * 0.37f).ToArray();
        NpzFile.Write(path, [NpyArray.From("x", [10, 100], values), NpyArray.From("n", [], new long[] { 1L << 40 }), NpyArray.From("f", [2], new[] { true, false }), NpyArray.From("i", [1], new[] { -3 })], compress);
        using (var file = NpzFile.Open(path))
        {
            Assert.Equal(values, file.Read("x").ToSingles());
            Assert.Equal([10, 100], file.Shape("x"));
            Assert.Equal([(double)(1L << 40)], file.Read("n").ToDoubles());
            Assert.Equal([true, false], file.Read("f").ToBooleans());
            Assert.Equal("<i4", file.Type("i").ToString());
        }
        NpyFile.Write(_folder.File("x.npy"), NpyArray.From("x", [1000], values));
        Assert.Equal(values, NpyFile.Read(_folder.File("x.npy")).ToSingles());
    }

    private string Npy(string header, byte[] data, byte version = 1)
    {
        var text = Encoding.Latin1.GetBytes(header);
        byte[] length = version == 1 ? BitConverter.GetBytes((ushort)text.Length) : BitConverter.GetBytes(text.Length);
        string path = _folder.File("case.npy");
        File.WriteAllBytes(path, [0x93, .. "NUMPY"u8, version, 0, .. length, .. text, .. data]);
        return path;
    }

    [Theory]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 12, "12 bytes of elements, expected 16")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }", 16, "too large")]
    [InlineData("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (4,), }", 16, "expected True or False")]
    [InlineData("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }", 16, "never read")]
    [InlineData("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", 16, "structured")]
    [InlineData("{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", 16, "complex numbers (<c8)")]
    [InlineData("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2,), }", 16, "dates (<M8[s])")]
    [InlineData("{'descr': '<f4', 'shape': (4,), }", 16, "lacks")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (4,)", 16, "ends too early")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }", 16, "not a whole number")]
    [InlineData("{'evil': __import__('os'), }", 16, "unknown header key evil")]
    public void Bad_headers_are_refused(string header, int bytes, string expected) =>
        Assert.Contains(expected, Assert.Throws<InteropFormatException>(() => NpyFile.Read(Npy(header, new byte[bytes]))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_header_alone_allocates_nothing()
    {
        string path = _folder.File("bomb.npz");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
        using (var entry = zip.CreateEntry("a.npy").Open())
            entry.Write(File.ReadAllBytes(Npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }", [])));
        Assert.Contains("expected 8000000000", Assert.Throws<InteropFormatException>(() => NpzFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Archives_that_would_unpack_to_far_more_than_they_hold_are_refused()
    {
        string path = _folder.File("bomb.npz");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
            for (int i = 0; i < 3; i++)
                using (var entry = zip.CreateEntry($"a{i}.npy", CompressionLevel.SmallestSize).Open())
                {
                    entry.Write(File.ReadAllBytes(Npy($"{{'descr': '|u1', 'fortran_order': False, 'shape': ({40 << 20},), }}", [])));
                    entry.Write(new byte[40 << 20]);
                }
        Assert.InRange(new FileInfo(path).Length, 0, 1 << 20);
        Assert.Contains("would unpack to more than", Assert.Throws<InteropFormatException>(() => NpzFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Members_that_are_no_arrays_of_numbers_are_listed_with_the_reason()
    {
        string path = _folder.File("mixed.npz");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            void Put(string name, byte[] content)
            {
                using var entry = zip.CreateEntry(name).Open();
                entry.Write(content);
            }
            byte[] Array(string type, int bytes) => File.ReadAllBytes(Npy($"{{'descr': {type}, 'fortran_order': False, 'shape': (2,), }}", new byte[bytes]));
            Put("readme.txt", "hello"u8.ToArray());
            Put("wave.npy", Array("'<c8'", 16));
            Put("when.npy", Array("'<M8[s]'", 16));
            Put("wide.npy", Array("'<f16'", 32));
            Put("record.npy", Array("[('a', '<f4'), ('b', [('c)', '<i4')])]", 16));
            Put("objects.npy", Array("'|O'", 16));
            Put("good.npy", Array("'<f4'", 8));
        }
        using var file = NpzFile.Open(path);
        Assert.Equal(["good"], file.Names);
        Assert.Equal(["readme.txt is no array (.npy)", "wave complex numbers (<c8), not read", "when dates (<M8[s]), not read", "wide element type <f16, not read", "record a structured type, not read", "objects pickled Python objects, which are never read"], file.Skipped.Select(s => $"{s.Name} {s.Reason}"));
        Assert.Contains("array wave: complex numbers", Assert.Throws<InteropFormatException>(() => file.Read("wave")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Entries_that_are_twice_there_or_changed_are_refused()
    {
        void Fails(Action<ZipArchive> make, string expected)
        {
            string path = _folder.File("case.npz");
            File.Delete(path);
            using (var zip = ZipFile.Open(path, ZipArchiveMode.Create)) make(zip);
            string message = Assert.Throws<InteropFormatException>(() =>
            {
                using var file = NpzFile.Open(path);
                foreach (string name in file.Names) file.Read(name);
            }).Message;
            Assert.Contains(expected, message, StringComparison.Ordinal);
        }
        byte[] sound = File.ReadAllBytes(Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", new byte[8]));
        void Put(ZipArchive zip, string name, byte[] content)
        {
            using var entry = zip.CreateEntry(name).Open();
            entry.Write(content);
        }
        Fails(zip => { Put(zip, "a.npy", sound); Put(zip, "a.npy", sound); }, "twice");
        Fails(zip => Put(zip, "a.npy", [1, 2, 3]), "ends within its header");

        string stored = _folder.File("stored.npz");
        NpzFile.Write(stored, [NpyArray.From("a", [4], new float[] { 1, 2, 3, 4 })], compress: false);
        var bytes = File.ReadAllBytes(stored);
        bytes[bytes.AsSpan().IndexOf(BitConverter.GetBytes(4f))] ^= 1; // within the last element, 4f
        File.WriteAllBytes(stored, bytes);
        using var changed = NpzFile.Open(stored);
        Assert.Contains("checksum", Assert.Throws<InteropFormatException>(() => changed.Read("a")).Message, StringComparison.Ordinal);
    }
}
