using System.Text;

namespace DynamicSharding.Routing;

/// <summary>Whether this instance should be sent traffic, and if not, why. Written by the host, read by whoever is asked.</summary>
internal sealed class Readiness
{
    private volatile byte[]? _obstacle = "starting\n"u8.ToArray();

    public bool IsReady => _obstacle is null;

    /// <summary>A sentence with its newline; empty when ready.</summary>
    public ReadOnlySpan<byte> Obstacle => _obstacle;

    /// <param name="obstacle">Null = ready.</param>
    public void Set(string? obstacle) => _obstacle = obstacle is null ? null : Encoding.UTF8.GetBytes(obstacle + "\n");
}
