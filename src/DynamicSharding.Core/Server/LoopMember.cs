namespace DynamicSharding.Server;

/// <summary>What an event loop runs: a connection, a listener, or a connection to a gateway.</summary>
internal abstract class LoopMember
{
    /// <summary>Called once a second on the loop's thread, so that no connection needs a timer.</summary>
    /// <param name="now"><see cref="EventLoop.Now"/>.</param>
    public abstract void OnTick(long now);

    /// <summary>An event of a socket on which nobody waits.</summary>
    public virtual void OnReady(uint events)
    {
    }
}
