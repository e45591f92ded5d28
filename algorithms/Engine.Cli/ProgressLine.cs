using System.Globalization;
using Engine.Algorithms.Training;

namespace Engine.Cli;

/// <summary>What a training run shows: on a terminal a line that is rewritten, with a bar; elsewhere a plain line for every report.</summary>
internal sealed class ProgressLine(int steps, bool terminal)
{
    private const int BarWidth = 24;
    private readonly System.Diagnostics.Stopwatch _sinceShown = System.Diagnostics.Stopwatch.StartNew();
    private string _losses = "", _result = "", _stage = "";
    private bool _open;

    /// <summary>Between reports.</summary>
    public void Show(int step, double rate)
    {
        if (!terminal || _sinceShown.ElapsedMilliseconds < 250) return;
        Rewrite(step, rate);
    }

    /// <summary>Losses, and an evaluation if there was one.</summary>
    public void Show(TrainingReport report)
    {
        // Not a number: not computed yet, such as a policy that moves every second update. (A loss that became it ends the run.)
        _losses = string.Join("  ", report.Metrics.Where(m => report.Losses.Contains(m.Key) && !float.IsNaN(m.Value)).Select(m => $"{m.Key} {m.Value.ToString("G4", CultureInfo.InvariantCulture)}"));
        string result = $"{(report.Evaluation is { } e ? $", return {Shared.Return(e, episodes: false)}{Shared.Measures(e)}" : "")}{Shared.Further(report)}";
        if (result.Length > 0) _result = result[2..];
        if (report.Metrics.TryGetValue("environment_steps", out float taken) && !float.IsNaN(taken)) _losses = $"{taken:F0} environment steps  {_losses}";
        _stage = report.Stage;
        if (!terminal)
        {
            Console.WriteLine($"step {report.Step}/{steps}  {_stage}  {report.StepsPerSecond:F0} steps/s  eta {Eta(report.Step, report.StepsPerSecond)}{(result.Length == 0 ? "" : "  " + _result)}  {_losses}");
            return;
        }
        if (result.Length > 0)
        {
            Clear();
            Console.WriteLine($"step {report.Step,9:N0}  {_result}{(report.Evaluation?.NormalizedMean is { } n ? $"  normalised {n:F1}" : "")}  {_losses}");
        }
        Rewrite(report.Step, report.StepsPerSecond);
    }

    /// <summary>Leaves the terminal with an empty line.</summary>
    public void Close()
    {
        if (terminal && _open) Clear();
    }

    private string Eta(int step, double rate) => TimeSpan.FromSeconds((steps - step) / Math.Max(rate, 1e-9)) is { TotalDays: < 100 } time ? time.TotalDays >= 1 ? time.ToString(@"d\.hh\:mm\:ss") : time.ToString(@"hh\:mm\:ss") : "?";

    private void Rewrite(int step, double rate)
    {
        _sinceShown.Restart();
        int filled = (int)((long)BarWidth * step / Math.Max(1, steps));
        string line = $"[{new string('=', filled)}{new string(' ', BarWidth - filled)}] {100.0 * step / steps,3:F0}%  {step:N0}/{steps:N0} {_stage}  {rate:F0}/s  eta {Eta(step, rate)}  {_result}  {_losses}";
        int width = Math.Max(20, Console.WindowWidth - 1);
        Console.Write("\r" + (line.Length > width ? line[..width] : line.PadRight(width)));
        _open = true;
    }

    private void Clear()
    {
        Console.Write("\r" + new string(' ', Math.Max(20, Console.WindowWidth - 1)) + "\r");
        _open = false;
    }
}
