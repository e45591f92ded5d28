using System.Buffers;
using System.Text.Json;

namespace Engine.Algorithms.Policies;

/// <summary>
/// The text of a policy's graph for any number of rows, of those for 2 and for 3. Rows are copies of one task, so that the number of rows changes sizes and nothing else: the texts are equal but for integers, each of which grows evenly.
/// One row is not among them: where there is one, tracing leaves broadcasts out.
/// </summary>
internal static class GraphRows
{
    /// <summary>The text for a number of rows.</summary>
    /// <param name="two">As <see cref="Autodiff.GraphFile"/> writes it, traced for 2 rows.</param>
    /// <param name="three">The same for 3 rows.</param>
    /// <param name="rows">At least 2.</param>
    /// <exception cref="FormatException">They differ in something else than integers.</exception>
    /// <exception cref="OverflowException">A size is too large.</exception>
    public static byte[] For(JsonElement two, JsonElement three, int rows)
    {
        var text = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(text)) Write(writer, two, three, rows);
        return text.WrittenSpan.ToArray();
    }

    private static void Write(Utf8JsonWriter writer, JsonElement two, JsonElement three, int rows)
    {
        Even(two.ValueKind == three.ValueKind);
        switch (two.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                Even(two.GetPropertyCount() == three.GetPropertyCount());
                foreach (var (a, b) in two.EnumerateObject().Zip(three.EnumerateObject()))
                {
                    Even(a.Name == b.Name);
                    writer.WritePropertyName(a.Name);
                    Write(writer, a.Value, b.Value, rows);
                }
                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                Even(two.GetArrayLength() == three.GetArrayLength());
                foreach (var (a, b) in two.EnumerateArray().Zip(three.EnumerateArray())) Write(writer, a, b, rows);
                writer.WriteEndArray();
                break;
            case JsonValueKind.Number when two.TryGetInt64(out long a) && three.TryGetInt64(out long b) && a != b:
                writer.WriteNumberValue(checked(a + (b - a) * (rows - 2)));
                break;
            default:
                Even(two.GetRawText() == three.GetRawText());
                two.WriteTo(writer);
                break;
        }
    }

    private static void Even(bool holds)
    {
        if (!holds) throw new FormatException("its graphs for 2 and 3 rows differ in more than sizes");
    }
}
