using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>A test with its own peers.</summary>
public abstract class PeerTest(ITestOutputHelper output) : IAsyncLifetime
{
    protected ITestOutputHelper Output { get; } = output;

    protected TestPeers TestPeers { get; } = new(output);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await TestPeers.DisposeAsync();
}
