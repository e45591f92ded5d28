using Engine.Interop.Hdf5;

namespace Engine.Interop.Tests.Hdf5;

/// <summary>Reads all that a file has, as a tool that inspects files of strangers would.</summary>
internal static class Hdf5Walk
{
    /// <summary>Visits every object; returns how many values were read. With expectErrors, errors of the format are swallowed one by one.</summary>
    public static int ReadAll(Hdf5Group group, bool expectErrors)
    {
        var read = 0;
        // Damaged files may have a group within itself: as many groups as real files have are enough.
        var groups = 300;
        var pending = new Queue<Hdf5Group>();
        pending.Enqueue(group);
        while (pending.TryDequeue(out var next) && groups-- > 0)
        {
            Try(() => read += Values(next.Attributes.Values, expectErrors));
            Try(() =>
            {
                foreach (var name in next.Names)
                    Try(() =>
                    {
                        if (!next.Contains(name))
                            return;
                        if (next.IsGroup(name))
                            pending.Enqueue(next.Group(name));
                        else if (next.IsDataset(name))
                        {
                            var dataset = next.Dataset(name);
                            read += Values([dataset], expectErrors);
                            read += Values(dataset.Attributes.Values, expectErrors);
                        }
                    });
            });
        }
        return read;

        void Try(Action action)
        {
            if (!expectErrors)
            {
                action();
                return;
            }
            try
            {
                action();
            }
            catch (InteropFormatException)
            {
                // What a damaged file may say.
            }
        }
    }

    private static int Values(IEnumerable<Hdf5Values> all, bool expectErrors)
    {
        var read = 0;
        foreach (var values in all)
        {
            try
            {
                var length = values.ElementType is Hdf5ElementType.FixedString or Hdf5ElementType.VariableString ? values.ReadStrings().Length : values.ReadSingles().Length;
                Assert.Equal(values.Count, length);
                read++;
            }
            catch (InteropFormatException) when (expectErrors)
            {
                // What a damaged file may say.
            }
        }
        return read;
    }
}
