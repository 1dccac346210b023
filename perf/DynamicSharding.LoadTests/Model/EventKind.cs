namespace DynamicSharding.LoadTests.Model;

internal enum EventKind
{
    /// <summary>The configuration is read again with another limit; the ring stays.</summary>
    Reload,

    /// <summary>A gateway leaves the configuration, or comes back: a new ring.</summary>
    Reshard,
}
