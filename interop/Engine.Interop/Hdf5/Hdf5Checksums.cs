using System.Buffers.Binary;
using System.Numerics;

namespace Engine.Interop.Hdf5;

/// <summary>The two checksums of the format.</summary>
internal static class Hdf5Checksums
{
    /// <summary>Bob Jenkins' lookup3 (hashlittle, initial value 0): metadata of version 2 and later.</summary>
    public static uint Lookup3(ReadOnlySpan<byte> data)
    {
        unchecked
        {
            uint a = 0xdeadbeef + (uint)data.Length, b = a, c = a;
            while (data.Length > 12)
            {
                a += BinaryPrimitives.ReadUInt32LittleEndian(data);
                b += BinaryPrimitives.ReadUInt32LittleEndian(data[4..]);
                c += BinaryPrimitives.ReadUInt32LittleEndian(data[8..]);
                a -= c; a ^= BitOperations.RotateLeft(c, 4); c += b;
                b -= a; b ^= BitOperations.RotateLeft(a, 6); a += c;
                c -= b; c ^= BitOperations.RotateLeft(b, 8); b += a;
                a -= c; a ^= BitOperations.RotateLeft(c, 16); c += b;
                b -= a; b ^= BitOperations.RotateLeft(a, 19); a += c;
                c -= b; c ^= BitOperations.RotateLeft(b, 4); b += a;
                data = data[12..];
            }
            if (data.Length == 0)
                return c;
            Span<byte> tail = stackalloc byte[12];
            tail.Clear();
            data.CopyTo(tail);
            a += BinaryPrimitives.ReadUInt32LittleEndian(tail);
            b += BinaryPrimitives.ReadUInt32LittleEndian(tail[4..]);
            c += BinaryPrimitives.ReadUInt32LittleEndian(tail[8..]);
            c ^= b; c -= BitOperations.RotateLeft(b, 14);
            a ^= c; a -= BitOperations.RotateLeft(c, 11);
            b ^= a; b -= BitOperations.RotateLeft(a, 25);
            c ^= b; c -= BitOperations.RotateLeft(b, 16);
            a ^= c; a -= BitOperations.RotateLeft(c, 4);
            b ^= a; b -= BitOperations.RotateLeft(a, 14);
            c ^= b; c -= BitOperations.RotateLeft(b, 24);
            return c;
        }
    }

    /// <summary>Fletcher's checksum as the fletcher32 filter computes it: 16-bit big-endian words.</summary>
    public static uint Fletcher32(ReadOnlySpan<byte> data)
    {
        uint sum1 = 0, sum2 = 0;
        var words = data.Length / 2;
        var at = 0;
        while (words > 0)
        {
            // 360 words is the most that cannot overflow 32 bits before the sums are folded.
            var block = Math.Min(words, 360);
            words -= block;
            for (; block > 0; block--, at += 2)
            {
                sum1 += BinaryPrimitives.ReadUInt16BigEndian(data[at..]);
                sum2 += sum1;
            }
            sum1 = (sum1 & 0xffff) + (sum1 >> 16);
            sum2 = (sum2 & 0xffff) + (sum2 >> 16);
        }
        if (data.Length % 2 != 0)
        {
            sum1 += (uint)data[^1] << 8;
            sum2 += sum1;
            sum1 = (sum1 & 0xffff) + (sum1 >> 16);
            sum2 = (sum2 & 0xffff) + (sum2 >> 16);
        }
        sum1 = (sum1 & 0xffff) + (sum1 >> 16);
        sum2 = (sum2 & 0xffff) + (sum2 >> 16);
        return sum2 << 16 | sum1;
    }

    /// <summary>Checks the lookup3 sum that is stored in the last four bytes of a block.</summary>
    public static void Verify(Hdf5Source source, ReadOnlySpan<byte> block, long offset, string what)
    {
        var stored = BinaryPrimitives.ReadUInt32LittleEndian(block[^4..]);
        var computed = Lookup3(block[..^4]);
        if (stored != computed)
            throw source.Fail(offset, $"{what} has the checksum {stored:x8}, its bytes give {computed:x8}: it is damaged");
    }
}
