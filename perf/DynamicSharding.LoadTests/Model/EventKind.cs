namespace DynamicSharding.LoadTests.Model;

internal enum EventKind
{
    /// <summary>A reload with another limit; the ring stays.</summary>
    Reload,

    /// <summary>A reload that removes or adds a gateway: a new ring.</summary>
    Reshard,
}
