namespace Engine.Interop.Hdf5;

/// <summary>The type of the elements of a dataset or an attribute, whatever their byte order in the file.</summary>
public enum Hdf5ElementType
{
    /// <summary>A type that this reader lists but does not read: compound, reference, opaque, array, sequence, odd sizes of numbers.</summary>
    Unsupported,

    /// <summary>Signed 8-bit integer.</summary>
    Int8,

    /// <summary>Unsigned 8-bit integer.</summary>
    UInt8,

    /// <summary>Signed 16-bit integer.</summary>
    Int16,

    /// <summary>Unsigned 16-bit integer.</summary>
    UInt16,

    /// <summary>Signed 32-bit integer.</summary>
    Int32,

    /// <summary>Unsigned 32-bit integer.</summary>
    UInt32,

    /// <summary>Signed 64-bit integer.</summary>
    Int64,

    /// <summary>Unsigned 64-bit integer.</summary>
    UInt64,

    /// <summary>IEEE 16-bit float.</summary>
    Float16,

    /// <summary>IEEE 32-bit float.</summary>
    Float32,

    /// <summary>IEEE 64-bit float.</summary>
    Float64,

    /// <summary>An enumeration of FALSE = 0 and TRUE = 1 in one byte, as h5py writes booleans.</summary>
    Boolean,

    /// <summary>Text of a fixed size.</summary>
    FixedString,

    /// <summary>Text of any length, kept in the file's global heaps.</summary>
    VariableString,
}
