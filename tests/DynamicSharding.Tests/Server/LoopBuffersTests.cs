using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

public sealed class LoopBuffersTests
{
    [Theory]
    [InlineData(0, 1024)]
    [InlineData(1024, 1024)]
    [InlineData(1025, 2048)]
    [InlineData(65_536, 65_536)]
    [InlineData(65_537, 131_072)]
    [InlineData(131_072, 131_072)]
    [InlineData(131_073, 131_073)]
    public void An_array_has_the_next_power_of_two(int length, int expected) => Assert.Equal(expected, new LoopBuffers().Rent(length).Length);

    [Fact]
    public void The_last_array_returned_is_the_next_one_rented()
    {
        LoopBuffers buffers = new();
        byte[] first = buffers.Rent(3000);
        byte[] second = buffers.Rent(3000);
        Assert.NotSame(first, second);
        buffers.Return(first);
        buffers.Return(second);
        Assert.Same(second, buffers.Rent(4096));
        Assert.Same(first, buffers.Rent(2049));
        Assert.NotSame(first, buffers.Rent(2049));
    }

    [Fact]
    public void Free_arrays_are_bounded_and_go_when_they_are_not_needed()
    {
        LoopBuffers buffers = new();
        byte[][] rented = [.. Enumerable.Range(0, 300).Select(_ => buffers.Rent(65_536))];
        foreach (byte[] array in rented) buffers.Return(array);
        Assert.Equal(256, Free());

        foreach (byte[] array in rented[..256]) buffers.Return(array);
        buffers.Trim();
        buffers.Trim();
        Assert.Equal(128, Free());
        for (int i = 0; i < 20; i++) buffers.Trim();
        Assert.Equal(0, Free());

        // Rents until an array is a new one.
        int Free()
        {
            int count = 0;
            while (rented.Contains(buffers.Rent(65_536))) count++;
            return count;
        }
    }
}
