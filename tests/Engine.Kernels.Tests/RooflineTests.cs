using Engine.Kernels.Cpu;

namespace Engine.Kernels.Tests;

public sealed class RooflineTests
{
    private static readonly MemoryLevel Small = new("small", 1000, Read: 4, Write: 2, Copy: 3, Update: 6), Large = new("large", long.MaxValue, 1, 1, 1, 1);

    [Fact]
    public void Traffic_takes_the_rate_of_its_kind()
    {
        Assert.Equal(100 / 4e9, Small.Seconds(new(100, 0)), 1e-20);
        Assert.Equal(100 / 2e9, Small.Seconds(new(0, 100)), 1e-20);
        Assert.Equal(200 / 3e9, Small.Seconds(new(100, 100)), 1e-20);
        Assert.Equal(200 / 6e9, Small.Seconds(new(100, 100, InPlace: 100)), 1e-20);
        // 50 in place, 50 read here and written there, 100 more read.
        Assert.Equal((100 / 6.0 + 100 / 3.0 + 100 / 4.0) / 1e9, Small.Seconds(new(200, 100, InPlace: 50)), 1e-20);
    }

    [Fact]
    public void The_longer_of_arithmetic_and_traffic_is_the_limit()
    {
        var roof = new Roofline(10, 1, Small, Large);
        Assert.Equal(1e-6, roof.Seconds(1e4, new(100, 100)), 1e-12);
        Assert.Equal(4e-6, roof.Seconds(1e4, new(4000, 0)), 1e-12);
        // What is written over itself needs room once.
        Assert.Equal("small", roof.LevelOf(new Traffic(700, 700, InPlace: 700).Distinct).Name);
        Assert.Equal("large", roof.LevelOf(new Traffic(700, 700).Distinct).Name);
    }

    [Fact]
    public void The_processor_has_limits()
    {
        var roof = CpuRoofline.Measure(2);
        Assert.True(roof.GflopsPerSecond > 0 && roof.RootDivisionsPerSecond > 0);
        Assert.Equal(4, roof.Levels.Count);
        Assert.All(roof.Levels, l => Assert.True(l.Read > 0 && l.Write > 0 && l.Copy > 0 && l.Update > 0));
        Assert.Equal(roof.Levels.OrderBy(l => l.Bytes), roof.Levels);
    }
}
