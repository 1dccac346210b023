using Xunit.Abstractions;

namespace DynamicSharding.Tests;

/// <summary>The classes that wait for holds, checks and polls run first, so that none of them is the last one.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    public const string Name = "DynamicSharding.Tests." + nameof(LongestFirst);

    /// <summary>Folders.</summary>
    private static readonly string[] Long = ["Lists", "Cleanup", "Faults", "Proxies", "Users", "Discovery", "Membership"];

    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) =>
        testCollections.OrderByDescending(static collection => Long.Any(name => collection.DisplayName.Contains($".{name}.", StringComparison.Ordinal)));
}
