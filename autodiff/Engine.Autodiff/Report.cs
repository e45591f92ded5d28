using System.Text;
using Engine.Kernels;

namespace Engine.Autodiff;

/// <summary>The table that <c>Explain()</c> prints.</summary>
internal static class Report
{
    public static string Text(KernelTime[] kernels, Roofline? peak)
    {
        var text = new StringBuilder();
        // Fused kernels are named after what they compute: the columns are as wide as the longest.
        int opWidth = kernels.Select(k => k.Depth * 2 + k.Instruction.Op.Name.Length).Append(18).Max(), variantWidth = kernels.Select(k => k.Variant.Length).Append(12).Max();
        text.AppendLine($"{"op".PadRight(opWidth)} {"variant".PadRight(variantWidth)} {"shapes",-44} {"calls",5} {"us",9} {"MFLOP",9} {"MB",8} {"GFLOP/s",8} {"GB/s",7}{(peak is null ? "" : "  roof%")}");
        double total = 0, totalFlops = 0;
        foreach (var kernel in kernels)
        {
            var call = kernel.Instruction;
            double flops = call.Op.Flops(call.InputTypes, call.OutputTypes) * Math.Max(1, kernel.Calls);
            double bytes = Traffic.Of(call).Bytes * Math.Max(1, kernel.Calls);
            total += kernel.Seconds;
            totalFlops += flops;
            string shapes = string.Join(" ", call.InputTypes.Select(t => t.Shape)) + "->" + string.Join(" ", call.OutputTypes.Select(t => t.Shape));
            if (shapes.Length > 44) shapes = shapes[..41] + "...";
            double seconds = Math.Max(kernel.Seconds, 1e-9);
            text.Append($"{(new string(' ', kernel.Depth * 2) + call.Op.Name).PadRight(opWidth)} {kernel.Variant.PadRight(variantWidth)} {shapes,-44} {kernel.Calls,5} {kernel.Seconds * 1e6,9:F1} {flops / 1e6,9:F3} {bytes / 1e6,8:F3} {flops / seconds / 1e9,8:F1} {bytes / seconds / 1e9,7:F1}");
            if (peak is not null)
            {
                int calls = Math.Max(1, kernel.Calls);
                double least = calls * peak.Seconds(flops / calls, Traffic.Of(call));
                text.Append($" {100 * least / seconds,6:F0}");
            }
            text.AppendLine();
        }
        text.Append($"total {total * 1e6:F1} us, {totalFlops / 1e6:F3} MFLOP, {totalFlops / Math.Max(total, 1e-9) / 1e9:F1} GFLOP/s in {kernels.Length} kernels");
        return text.ToString();
    }
}
