using System.Buffers.Binary;

namespace Engine.Tests;

/// <summary>Damages files in the ways that find mistakes in readers; a function of the seed alone.</summary>
internal sealed class Mutator(int seed)
{
    private static readonly ulong[] Interesting = [0, 1, 2, 8, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff, long.MaxValue, 1ul << 63, ulong.MaxValue - 1, ulong.MaxValue];

    private readonly Random random = new(seed);

    public byte[] Mutate(byte[] original)
    {
        if (random.Next(10) == 0)
            return original[..random.Next(original.Length)];
        var bytes = (byte[])original.Clone();
        for (var changes = 1 + random.Next(3); changes > 0; changes--)
        {
            var at = random.Next(bytes.Length);
            switch (random.Next(4))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    Overwrite(bytes, at, 2 << random.Next(3), Value(bytes));
                    break;
                default:
                    Overwrite(bytes, at & ~7, 8, Value(bytes));
                    break;
            }
        }
        return bytes;
    }

    /// <summary>Like Mutate, but of places where the file has something: most of a small HDF5 file is zeros that nobody reads.</summary>
    public byte[] MutateContent(byte[] original, int[] places)
    {
        var bytes = (byte[])original.Clone();
        for (var changes = 1 + random.Next(2); changes > 0; changes--)
        {
            var at = places[random.Next(places.Length)];
            if (random.Next(2) == 0)
                bytes[at] = (byte)(random.Next(2) == 0 ? random.Next(256) : bytes[at] ^ 1 << random.Next(8));
            else
                Overwrite(bytes, random.Next(2) == 0 ? at : at & ~7, 2 << random.Next(3), Value(bytes));
        }
        return bytes;
    }

    private ulong Value(byte[] bytes) => random.Next(4) switch
    {
        0 => (ulong)random.NextInt64(),
        1 => (ulong)random.Next(bytes.Length), // a place in the file: loops and overlaps
        2 => (ulong)(random.Next(bytes.Length) & ~7),
        _ => Interesting[random.Next(Interesting.Length)],
    };

    private static void Overwrite(byte[] bytes, int at, int size, ulong value)
    {
        Span<byte> raw = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(raw, value);
        raw[..Math.Min(size, bytes.Length - at)].CopyTo(bytes.AsSpan(at));
    }
}
