namespace Engine.Algorithms;

/// <summary>A setting that is unknown or out of range.</summary>
public sealed class SettingsException(string message) : Exception(message);

/// <summary>A dataset that is not what it should be: one line with what, where and what was expected.</summary>
public sealed class DatasetException(string message) : Exception(OneLine(message))
{
    // Names inside a file are part of messages, and a hostile file must not be able to forge lines with them.
    private static string OneLine(string text) => string.Concat(text.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' ? '?' : c));
}

/// <summary>A loss became NaN or infinite.</summary>
public sealed class DivergedException(int step, string where) : Exception($"diverged at step {step}: {where}")
{
    /// <summary>The update, counted from 0.</summary>
    public int Step => step;
}
