namespace Engine.Interop.Hdf5;

/// <summary>Typed elements with a shape: what datasets and attributes have in common.</summary>
/// <remarks>
/// Numbers convert between types on reading. Reading an axis-less (scalar) value gives an array of one element, a null
/// dataspace an empty one. Elements are row-major.
/// </remarks>
public abstract class Hdf5Values
{
    private readonly Hdf5Datatype type;
    private readonly Hdf5Dataspace space;
    private readonly Hdf5GlobalHeap heap;
    private readonly string kind;

    private protected Hdf5Values(Hdf5Source source, Hdf5GlobalHeap heap, string kind, string name, long offset, Hdf5Datatype type, Hdf5Dataspace space)
    {
        Source = source;
        this.heap = heap;
        this.kind = kind;
        Name = name;
        Offset = offset;
        this.type = type;
        this.space = space;
    }

    /// <summary>The attribute's name, or the dataset's full path in the file.</summary>
    public string Name { get; }

    /// <summary>The sizes of the axes; empty for a scalar. The array is the caller's own.</summary>
    public long[] Shape => (long[])space.Shape.Clone();

    /// <summary>The number of elements: the product of the shape, 1 for a scalar, 0 for a null dataspace.</summary>
    public long Count => space.Count;

    /// <summary>What the elements are in the file.</summary>
    public Hdf5ElementType ElementType => type.Element;

    /// <summary>The elements' type as the file has it, also where it is not read: compound, opaque.</summary>
    public string TypeDescription => type.Description;

    private protected Hdf5Source Source { get; }

    private protected long Offset { get; }

    private protected Hdf5Datatype Type => type;

    private protected Hdf5Dataspace Space => space;

    /// <summary>All elements as 32-bit floats, rounded to nearest where the file has more digits.</summary>
    /// <exception cref="InteropFormatException">The elements are not numbers, or the file is damaged.</exception>
    public float[] ReadSingles() => Load(Require(Hdf5Convert.Numbers<float>(Source, type), "numbers"));

    /// <summary>All elements as 64-bit floats.</summary>
    /// <exception cref="InteropFormatException">The elements are not numbers, or the file is damaged.</exception>
    public double[] ReadDoubles() => Load(Require(Hdf5Convert.Numbers<double>(Source, type), "numbers"));

    /// <summary>All elements as 32-bit integers; booleans as 0 and 1. Floats pass where they are integers.</summary>
    /// <exception cref="InteropFormatException">The elements are not numbers, one does not fit, or the file is damaged.</exception>
    public int[] ReadInt32s() => Load(Require(Hdf5Convert.Numbers<int>(Source, type), "numbers"));

    /// <summary>All elements as 64-bit integers; booleans as 0 and 1. Floats pass where they are integers.</summary>
    /// <exception cref="InteropFormatException">The elements are not numbers, one does not fit, or the file is damaged.</exception>
    public long[] ReadInt64s() => Load(Require(Hdf5Convert.Numbers<long>(Source, type), "numbers"));

    /// <summary>All elements as text, decoded as UTF-8, without the padding of fixed sizes.</summary>
    /// <exception cref="InteropFormatException">The elements are not strings, or the file is damaged.</exception>
    public string[] ReadStrings() => Load(Require(Hdf5Convert.Strings(Source, heap, type), "strings"));

    private protected abstract T[] Load<T>(Hdf5Decode<T> decode);

    private Hdf5Decode<T> Require<T>(Hdf5Decode<T>? decode, string wanted)
    {
        if (decode is not null)
            return decode;
        var has = type.Element == Hdf5ElementType.Unsupported ? $"{type.Description}, which is not supported" : type.Description;
        throw Source.Fail(Offset, $"{kind} '{Name}' was asked for {wanted}, but its elements are of type {has}");
    }
}
