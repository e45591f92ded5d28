using Engine.Kernels.Cuda.Launches;

namespace Engine.Kernels.Cuda.Tests;

/// <summary>Implementations by number; needs no device.</summary>
public sealed class ChoiceTests : IDisposable
{
    private const string Variable = "ENGINE_CUDA_CHOICE_TEST";

    private readonly Choice _choice = new("CHOICE_TEST", "one", "other");

    public void Dispose() => Environment.SetEnvironmentVariable(Variable, null);

    [Theory]
    [InlineData(null, null)]
    [InlineData("", null)]
    [InlineData("0", 0)]
    [InlineData("1", 1)]
    public void The_environment_chooses_until_a_number_is_set(string? text, int? expected)
    {
        Environment.SetEnvironmentVariable(Variable, text);
        Assert.Equal(expected, _choice.Number);
        Assert.Equal(expected ?? 1, _choice.Of(1));
        Assert.Equal(1, _choice.Of(1, runs: _ => false));
        _choice.Number = 0;
        Assert.Equal(0, _choice.Of(1));
        _choice.Number = null;
        Assert.Equal(expected, _choice.Number);
    }

    [Theory]
    [InlineData("2")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData(" 1")]
    [InlineData("1e0")]
    [InlineData("one")]
    [InlineData("99999999999")]
    public void Another_number_is_an_error_whenever_it_is_needed(string text)
    {
        Environment.SetEnvironmentVariable(Variable, text);
        for (int i = 0; i < 2; i++) Assert.Equal($"{Variable}={text}: expected a number: 0 (one), 1 (other)", Assert.Throws<DeviceException>(() => _choice.Of(0)).Message);
    }
}
