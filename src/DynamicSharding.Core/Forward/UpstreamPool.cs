using DynamicSharding.Routing;
using DynamicSharding.Server;

namespace DynamicSharding.Forward;

/// <summary>One loop's connections to one gateway: those that are kept for the next push.</summary>
internal sealed class UpstreamPool(EventLoop loop, ForwardTarget target, ForwardLoop owner)
{
    /// <summary>As many as a gateway may have pushes in flight by default, shared by all loops; what is more is closed.</summary>
    private const int MaxIdle = 128;

    private readonly List<Upstream> _idle = [];

    public EventLoop Loop { get; } = loop;

    public ForwardTarget Target { get; } = target;

    /// <summary>The gateway and its bytes.</summary>
    public Gateway Gateway => Target.Gateway;

    /// <returns>Null when there is none that is fit for use.</returns>
    public Upstream? TryTake(ForwardSession user)
    {
        // The one that is idle for the longest time: its events are all seen, so that the socket need not be asked.
        while (_idle.Count > 0)
        {
            Upstream upstream = _idle[0];
            _idle.RemoveAt(0);

            // When the name has moved, this connection leads to where it was.
            if (upstream.LeadsTo(Target.Endpoints.Current) && upstream.TryReuse(user)) return upstream;
            upstream.Close();
        }

        return null;
    }

    /// <param name="index">Of the address to try.</param>
    /// <param name="error">The errno, when the result is null.</param>
    public Upstream? Connect(EndpointList endpoints, int index, ForwardSession user, out int error)
    {
        owner.MakeRoom();
        error = LoopSocket.Connect(endpoints.SocketAddress(index), out int fd, out bool pending);
        if (error != 0) return null;
        Upstream upstream = owner.Upstreams.Get();
        error = upstream.Open(this, endpoints, index, fd, pending, user);
        return error == 0 ? upstream : null;
    }

    /// <summary>Its response is complete and the gateway lets the connection persist.</summary>
    /// <param name="timeout">As in <see cref="Upstream.Idle"/>.</param>
    public void Return(Upstream upstream, int? timeout)
    {
        if (Target.IsRetired || _idle.Count >= MaxIdle || owner.OpenUpstreams > owner.MaxUpstreams)
        {
            upstream.Close();
            return;
        }

        upstream.Idle(timeout);
        _idle.Add(upstream);
    }

    /// <summary>An idle connection has ended, has sent what nobody asked for, or was idle for too long.</summary>
    public void Drop(Upstream upstream)
    {
        _idle.Remove(upstream);
        upstream.Close();
    }

    /// <summary>Closes the one that is idle for the longest time, if any.</summary>
    public bool TryCloseIdle()
    {
        if (_idle.Count == 0) return false;
        Drop(_idle[0]);
        return true;
    }
}
