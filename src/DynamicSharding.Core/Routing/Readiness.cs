using System.Text;

namespace DynamicSharding.Routing;

/// <summary>Whether this instance is ready for traffic, and if not, why. Written by the host, read by all listeners.</summary>
internal sealed class Readiness
{
    private volatile State _state = new("starting", "starting\n"u8.ToArray());

    public bool IsReady => _state.Body is null;

    /// <summary><c>ready</c>, or why it is not.</summary>
    public string Reason => _state.Reason;

    /// <summary>The reason as a response body; empty when ready.</summary>
    public ReadOnlySpan<byte> Obstacle => _state.Body;

    public void SetReady() => _state = new State("ready", null);

    public void SetObstacle(string reason) => _state = new State(reason, Encoding.UTF8.GetBytes(reason + "\n"));

    private sealed record State(string Reason, byte[]? Body);
}
