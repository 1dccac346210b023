namespace DynamicSharding.Config;

/// <summary>
/// How many connections each listener may hold, so that together they stay below the process's descriptor limit. Half of a small limit, and
/// 512 of a large one, is no client's of the data plane: half of that is the admin listener's, half is for files, probes and Consul.
/// </summary>
/// <param name="Data">Of the redirect listener.</param>
/// <param name="Forward">Of the forward listener.</param>
/// <param name="Admin">Of the admin listener, in any case.</param>
internal readonly record struct DescriptorBudget(int Data, int Forward, int Admin)
{
    /// <summary>The client's connection, the one to its gateway, and one that is kept to a gateway.</summary>
    private const int PerForward = 3;

    private const int MaxReserve = 512;

    /// <param name="descriptors">The process's limit.</param>
    public static int Reserve(int descriptors) => Math.Min(MaxReserve, descriptors / 2);

    /// <param name="descriptors">The process's limit.</param>
    /// <param name="limits">What is configured goes for both listeners of the data plane.</param>
    /// <param name="forwards">There is a forward listener: it gets half of what is left.</param>
    public static DescriptorBudget Of(int descriptors, LimitOptions limits, bool forwards)
    {
        int reserve = Reserve(descriptors);
        int left = descriptors - reserve;
        int half = forwards ? left / 2 : left;
        int share = left / 2 / PerForward;
        int data = limits.MaxConnections ?? half;
        int forward = limits.MaxConnections is { } wanted ? Math.Min(wanted, Math.Max(share, (left - wanted) / PerForward)) : share;
        return new DescriptorBudget(Math.Max(data, 1), Math.Max(forward, 1), Math.Max(reserve / 2, 1));
    }
}
