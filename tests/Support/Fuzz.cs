using System.Diagnostics;

namespace Engine.Tests;

/// <summary>
/// Damaged files with fixed seeds: each is read, or refused with an exception that readers may throw, within a second. Anything else (another exception, a hang,
/// gigabytes) fails with the seed that shows it. <c>./test.sh --soak</c> sets ENGINE_FUZZ_CASES to run far more cases than the usual ones.
/// </summary>
internal static class Fuzz
{
    /// <summary>Runs the cases of one reader; some must have been refused, or the damage does not reach the reader.</summary>
    /// <param name="usual">Cases of a normal test run.</param>
    /// <param name="path">File to write each case to.</param>
    /// <param name="damage">The content of a case.</param>
    /// <param name="read">What is under test.</param>
    /// <param name="mayRefuse">Whether an exception is a proper refusal.</param>
    public static void Run(int usual, string path, Func<int, byte[]> damage, Action<string> read, Func<Exception, bool> mayRefuse)
    {
        int cases = int.TryParse(Environment.GetEnvironmentVariable("ENGINE_FUZZ_CASES"), out int wanted) ? Math.Max(wanted, usual) : usual, refused = 0;
        for (int seed = 0; seed < cases; seed++)
        {
            byte[] content = damage(seed);
            File.WriteAllBytes(path, content);
            if (Case(seed, path, content.Length, read, mayRefuse)) refused++;
        }
        Assert.InRange(refused, 1, cases);
    }

    private static bool Case(int seed, string path, long bytes, Action<string> read, Func<Exception, bool> mayRefuse)
    {
        // A machine that is busy with other work may stop any process for a second: only the better of two runs counts.
        for (int attempt = 0; attempt < 2; attempt++)
        {
            bool refused = false;
            var clock = Stopwatch.StartNew();
            long before = GC.GetAllocatedBytesForCurrentThread();
            try { read(path); }
            catch (Exception e) when (mayRefuse(e))
            {
                refused = true;
                Assert.DoesNotContain('\n', e.Message);
            }
            catch (Exception e) { Assert.Fail($"seed {seed}: {e}"); }
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            // What small files may need in all, with what they unpack to.
            Assert.True(allocated < (64L << 20) + 400 * bytes, $"seed {seed}: {allocated} bytes were allocated for a file of {bytes}");
            if (clock.ElapsedMilliseconds < 1000) return refused;
        }
        Assert.Fail($"seed {seed}: took more than a second, twice");
        return false;
    }
}
