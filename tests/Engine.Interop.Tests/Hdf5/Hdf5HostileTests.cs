using System.Buffers.Binary;
using Engine.Interop.Hdf5;

namespace Engine.Interop.Tests.Hdf5;

/// <summary>Damage with a known place, and what the reader says about it.</summary>
public class Hdf5HostileTests
{
    private readonly byte[] good = File.ReadAllBytes(TestFiles.Path("classic.h5"));

    [Fact]
    public void What_is_not_hdf5_is_refused()
    {
        Assert.Contains("not an HDF5 file", Refused([], _ => { }).Message, StringComparison.Ordinal);
        Assert.Contains("not an HDF5 file", Refused(new byte[5000], _ => { }).Message, StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => Hdf5File.Open("/absent-file.h5"));
    }

    [Fact]
    public void A_truncated_file_is_refused_at_any_length()
    {
        for (var length = 0; length < good.Length; length += 251)
        {
            var error = Refused(good[..length], _ => { });
            if (length > 128)
                Assert.Contains($"truncated: its superblock says {good.Length} bytes, it has {length}", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_shape_that_the_file_cannot_hold_takes_no_memory()
    {
        // The dataspace of the observations: 200 rows, 3 columns.
        byte[] shape = [.. BitConverter.GetBytes(200L), .. BitConverter.GetBytes(3L)];
        var at = good.AsSpan().IndexOf(shape);
        foreach (var (rows, message) in new[] { (1L << 24, "never written"), (1L << 40, "more than"), (1L << 62, "more elements than 63 bits") })
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var error = Refused(With(at, rows), file => file.Root.Dataset("observations").ReadSingles());
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10 << 20);
        }
    }

    [Fact]
    public void A_contiguous_dataset_beyond_the_file_takes_no_memory()
    {
        byte[] shape = [.. BitConverter.GetBytes(200L), .. BitConverter.GetBytes(1L)];
        var at = good.AsSpan().IndexOf(shape);
        var error = Refused(With(at, 1L << 30), file => file.Root.Dataset("actions").ReadSingles());
        Assert.Contains("needs 4294967296 bytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_chunk_tree_that_leads_to_itself_is_refused()
    {
        var refused = 0;
        for (var at = Next(0); at >= 0; at = Next(at + 1))
        {
            if (good[at + 4] != 1)
                continue;
            // Level 1 instead of 0, and the first child is the node itself: keys of two axes have 32 bytes.
            var bytes = With(at + 24 + 32, at);
            bytes[at + 5] = 1;
            var error = Refused(bytes, file =>
            {
                file.Root.Dataset("observations").ReadSingles();
                file.Root.Dataset("infos/qpos").ReadSingles();
                file.Root.Dataset("metadata/fill").ReadSingles();
            });
            Assert.Contains("node of a chunk B-tree", error.Message, StringComparison.Ordinal);
            refused++;
        }
        Assert.Equal(3, refused);

        int Next(int from)
        {
            var found = good.AsSpan(from).IndexOf("TREE"u8);
            return found < 0 ? -1 : from + found;
        }
    }

    [Fact]
    public void Many_names_for_the_same_data_do_not_multiply_memory()
    {
        // 600 datasets of 7 numbers, made to say that each of them is the large one.
        const int large = 1 << 16;
        using var folder = new TemporaryFolder();
        Hdf5Writer.Write(folder.File("many"), [Hdf5Column.From("large", [large], new float[large]), .. Enumerable.Range(0, 600).Select(i => Hdf5Column.From($"d{i}", [7], new float[7]))]);
        var bytes = File.ReadAllBytes(folder.File("many"));
        var layouts = new List<int>();
        var at = 0L;
        for (var i = 0; i + 18 <= bytes.Length; i++)
            if (bytes[i] == 3 && bytes[i + 1] == 1 && BitConverter.ToInt64(bytes, i + 10) is var stored && (stored == 7 * 4 || stored == large * 4))
            {
                if (stored == 7 * 4)
                    layouts.Add(i);
                else
                    at = BitConverter.ToInt64(bytes, i + 2);
            }
        Assert.Equal(600, layouts.Count);
        foreach (var layout in layouts)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(layout + 2), at);
            BitConverter.TryWriteBytes(bytes.AsSpan(layout + 10), large * 4L);
            var shape = bytes.AsSpan(0, layout).LastIndexOf(BitConverter.GetBytes(7L));
            BitConverter.TryWriteBytes(bytes.AsSpan(shape), (long)large);
            // Signature, version, flags, the size of the messages in as many bytes as the flags say, the messages, their checksum.
            var header = bytes.AsSpan(0, layout).LastIndexOf("OHDR"u8);
            var width = 1 << (bytes[header + 5] & 3);
            var size = 6 + width + (width == 1 ? bytes[header + 6] : BitConverter.ToInt16(bytes, header + 6));
            BitConverter.TryWriteBytes(bytes.AsSpan(header + size), Hdf5Checksums.Lookup3(bytes.AsSpan(header, size)));
        }
        var read = 0L;
        var error = Refused(bytes, file =>
        {
            foreach (var name in file.Root.Names)
                read += file.Root.Dataset(name).ReadSingles().Length * 4;
        });
        Assert.True(error.Message.Contains("would unpack to more than", StringComparison.Ordinal), error.Message);
        Assert.InRange(read, 64 << 20, 200L * bytes.Length);
    }

    [Fact]
    public void Damaged_chunks_are_refused()
    {
        var messages = new List<string>();
        for (var at = 0; at < good.Length - 4; at++)
        {
            // The header of zlib at the compression level that the file was made with.
            if (good[at] != 0x78 || good[at + 1] != 0x5e)
                continue;
            var bytes = (byte[])good.Clone();
            bytes[at + 3] ^= 0x55;
            using var folder = new TemporaryFolder();
            File.WriteAllBytes(folder.File("bad"), bytes);
            using var file = Hdf5File.Open(folder.File("bad"));
            foreach (var name in new[] { "observations", "infos/qpos", "metadata/fill" })
            {
                try
                {
                    file.Root.Dataset(name).ReadSingles();
                }
                catch (InteropFormatException error)
                {
                    messages.Add(error.Message);
                }
            }
        }
        Assert.Contains(messages, message => message.Contains("fletcher32 checksum", StringComparison.Ordinal));
        Assert.Contains(messages, message => message.Contains("deflate data are damaged", StringComparison.Ordinal));
    }

    [Fact]
    public void Damaged_checksums_of_new_structures_are_refused()
    {
        var modern = File.ReadAllBytes(TestFiles.Path("modern.h5"));
        foreach (var signature in new[] { "OHDR", "FRHP", "BTHD", "BTLF", "FAHD" })
        {
            var at = modern.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(signature));
            Assert.True(at > 0, signature);
            var bytes = (byte[])modern.Clone();
            bytes[at + 7] ^= 1;
            var error = Refused(bytes, file => Hdf5Walk.ReadAll(file.Root, expectErrors: false));
            Assert.InRange(error.Offset, 1, modern.Length);
        }
        modern[9] ^= 0x10;
        Assert.Contains("superblock", Refused(modern, _ => { }).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_checksum_of_metadata_is_lookup3()
    {
        // The values that its author publishes with it.
        Assert.Equal(0xdeadbeefu, Hdf5Checksums.Lookup3([]));
        Assert.Equal(0x17770551u, Hdf5Checksums.Lookup3("Four score and seven years ago"u8));
    }

    private byte[] With(int at, long value)
    {
        Assert.True(at >= 0);
        var bytes = (byte[])good.Clone();
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), value);
        return bytes;
    }

    private static InteropFormatException Refused(byte[] content, Action<Hdf5File> read)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("bad"), content);
        return Assert.Throws<InteropFormatException>(() =>
        {
            using var file = Hdf5File.Open(folder.File("bad"));
            read(file);
        });
    }
}
