using Microsoft.Extensions.Hosting;

namespace DynamicSharding.Admin;

/// <summary>In place of the host's console lifetime, which would take the process's signals: the server says when to stop.</summary>
internal sealed class DetachedLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
