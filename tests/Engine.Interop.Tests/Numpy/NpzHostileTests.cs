using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using Engine.Interop.Numpy;

namespace Engine.Interop.Tests.Numpy;

/// <summary>Archives and arrays made to mislead the reader, and integers that floats cannot hold.</summary>
public sealed class NpzHostileTests : IDisposable
{
    private const int Local = 0x04034b50, Central = 0x02014b50, End = 0x06054b50;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    internal static byte[] Npy(string header, byte[] data, byte version = 1)
    {
        var text = Encoding.Latin1.GetBytes(header);
        byte[] length = version == 1 ? BitConverter.GetBytes((ushort)text.Length) : BitConverter.GetBytes(text.Length);
        return [0x93, .. "NUMPY"u8, version, 0, .. length, .. text, .. data];
    }

    internal static byte[] Zip(params (string Name, byte[] Content)[] entries)
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
            foreach (var (name, content) in entries)
                using (var entry = zip.CreateEntry(name, CompressionLevel.SmallestSize).Open())
                    entry.Write(content);
        return memory.ToArray();
    }

    private string Write(byte[] content)
    {
        string path = _folder.File("case.npz");
        File.WriteAllBytes(path, content);
        return path;
    }

    /// <summary>A directory whose entries, with names of their own, all lead to the one array that the archive has.</summary>
    private static byte[] Shared(byte[] archive, int count)
    {
        int end = Find(archive, End), directory = BitConverter.ToInt32(archive, end + 16), size = BitConverter.ToInt32(archive, end + 12);
        using var result = new MemoryStream();
        result.Write(archive, 0, directory);
        for (int i = 0; i < count; i++)
        {
            var entry = archive.AsSpan(directory, size).ToArray();
            Encoding.ASCII.GetBytes($"{i:D5}").CopyTo(entry, 46);
            result.Write(entry);
        }
        var tail = archive.AsSpan(end).ToArray();
        BinaryPrimitives.WriteUInt16LittleEndian(tail.AsSpan(8), (ushort)count);
        BinaryPrimitives.WriteUInt16LittleEndian(tail.AsSpan(10), (ushort)count);
        BinaryPrimitives.WriteInt32LittleEndian(tail.AsSpan(12), count * size);
        result.Write(tail);
        return result.ToArray();
    }

    private static int Find(byte[] bytes, int signature) => bytes.AsSpan().LastIndexOf(BitConverter.GetBytes(signature));

    private static string Refused(Action read, long bytes)
    {
        var clock = Stopwatch.StartNew();
        long before = GC.GetAllocatedBytesForCurrentThread();
        string message = Assert.Throws<InteropFormatException>(read).Message;
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, bytes);
        Assert.InRange(clock.ElapsedMilliseconds, 0, 5000);
        return message;
    }

    [Theory]
    [InlineData("|O")]
    [InlineData("<f4")]
    public void Entries_that_share_one_long_head_are_refused_at_once(string descr)
    {
        var one = Zip(("00000.npy", Npy($"{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}".PadRight(1 << 20), new byte[8], 2)));
        string path = Write(Shared(one, 60_000)); // 3 MiB that would unpack to 60 GiB
        Assert.Contains("heads", Refused(() => NpzFile.Open(path).Dispose(), 128 << 20), StringComparison.Ordinal);
    }

    [Fact]
    public void Entries_that_share_the_bytes_of_one_large_array_are_refused()
    {
        var one = Zip(("00000.npy", Npy($"{{'descr': '|u1', 'fortran_order': False, 'shape': ({8 << 20},), }}", new byte[8 << 20])));
        string path = Write(Shared(one, 1000));
        Assert.Contains("would unpack to more than", Refused(() => NpzFile.Open(path).Dispose(), 8 << 20), StringComparison.Ordinal);
    }

    [Fact]
    public void A_directory_that_promises_more_than_the_stream_has_allocates_little()
    {
        // Header and directory agree on 60 MiB; the stream holds 8 bytes.
        var archive = Zip(("a.npy", Npy($"{{'descr': '|u1', 'fortran_order': False, 'shape': ({60 << 20},), }}", new byte[8])));
        int at = Find(archive, Central);
        BinaryPrimitives.WriteInt32LittleEndian(archive.AsSpan(at + 24), BitConverter.ToInt32(archive, at + 24) - 8 + (60 << 20));
        string path = Write(archive);
        string message = Refused(() =>
        {
            using var file = NpzFile.Open(path);
            file.Read("a");
        }, 4 << 20);
        Assert.Contains("ends after 8 bytes", message, StringComparison.Ordinal);
        Assert.DoesNotContain("byte -1", message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_archive_cut_anywhere_is_refused()
    {
        var archive = Zip(("a.npy", Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", new byte[8])), ("b.npy", Npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }", new byte[4])));
        for (int length = 0; length < archive.Length; length++)
        {
            string path = Write(archive[..length]);
            Refused(() => NpzFile.Open(path).Dispose(), 1 << 20);
        }
    }

    [Fact]
    public void Names_that_lead_elsewhere_are_only_names()
    {
        string path = Write(Zip(("../../up.npy", Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", BitConverter.GetBytes(2f))), ("line\nbreak.npy", Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", new byte[4]))));
        using var file = NpzFile.Open(path);
        Assert.Equal([2f], file.Read("../../up").ToSingles());
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Path));
        Assert.DoesNotContain('\n', Assert.Throws<InteropFormatException>(() => file.Read("absent")).Message);
    }

    [Fact]
    public void Integers_of_64_bits_are_exact_and_others_must_be_whole()
    {
        Assert.Equal([(1L << 62) + 1, long.MinValue], NpyArray.From("n", [2], new[] { (1L << 62) + 1, long.MinValue }).ToInt64s());
        var big = new byte[8];
        BinaryPrimitives.WriteInt64BigEndian(big, (1L << 61) + 1);
        Assert.Equal([(1L << 61) + 1], new NpyArray("n", new NpyType(NpyKind.Integer, 8, true), [1], big).ToInt64s());
        Assert.Equal([3, -4], NpyArray.From("f", [2], new[] { 3f, -4f }).ToInt32s());
        Assert.Equal([1, 0], NpyArray.From("b", [2], new[] { true, false }).ToInt32s());
        var unsigned = new NpyArray("u", new NpyType(NpyKind.Unsigned, 8), [1], BitConverter.GetBytes(ulong.MaxValue));
        Assert.Contains("u: element 0", Assert.Throws<OverflowException>(() => unsigned.ToInt64s()).Message, StringComparison.Ordinal);
        foreach (double bad in new[] { 0.5, double.NaN, double.PositiveInfinity, 1e300, 9223372036854775808.0 })
            Assert.Throws<OverflowException>(() => NpyArray.From("d", [1], new[] { bad }).ToInt64s());
        Assert.Throws<OverflowException>(() => NpyArray.From("d", [1], new[] { 2147483648L }).ToInt32s());
        Assert.Throws<NotSupportedException>(() => new NpyArray("t", new NpyType(NpyKind.Bytes, 1), [1], new byte[1]).ToInt64s());
    }

    [Fact]
    public void A_head_longer_than_64_KiB_is_read()
    {
        string path = _folder.File("long.npy");
        File.WriteAllBytes(path, Npy(new string(' ', 70_000) + "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", BitConverter.GetBytes(1.5f), 2));
        Assert.Equal([1.5f], NpyFile.Read(path).ToSingles());
        File.WriteAllBytes(path, Npy(new string(' ', 2 << 20) + "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", new byte[4], 2));
        Assert.Contains("expected at most", Refused(() => NpyFile.Read(path), 1 << 20), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Local)]
    [InlineData(Central)]
    public void Offsets_and_sizes_of_the_archive_that_lie_are_refused_or_harmless(int signature)
    {
        var archive = Zip(("a.npy", Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", new byte[8])));
        int refused = 0, at = Find(archive, signature);
        for (int field = 4; field < (signature == Local ? 30 : 46); field += 2)
            foreach (ushort value in new ushort[] { 0, 1, 0x7fff, 0xffff })
            {
                var bytes = (byte[])archive.Clone();
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at + field), value);
                string path = Write(bytes);
                try
                {
                    using var file = NpzFile.Open(path);
                    foreach (string name in file.Names) Assert.Equal(2, file.Read(name).ToSingles().Length);
                }
                catch (InteropFormatException) { refused++; }
            }
        Assert.InRange(refused, 4, 200);
    }
}
