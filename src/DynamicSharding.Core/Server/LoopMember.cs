namespace DynamicSharding.Server;

/// <summary>What an event loop runs: a connection or a listener.</summary>
internal abstract class LoopMember
{
    /// <summary>The heartbeat, once a second on the loop's thread. One field per member is compared; there is no timer per connection.</summary>
    /// <param name="now"><see cref="EventLoop.Now"/>.</param>
    public abstract void OnTick(long now);
}
