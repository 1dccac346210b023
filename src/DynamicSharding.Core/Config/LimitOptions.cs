namespace DynamicSharding.Config;

internal sealed record LimitOptions
{
    /// <summary>Null = by the process's descriptor limit: <see cref="DescriptorBudget"/>.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>Bytes of the request line without its CRLF.</summary>
    public int RequestLine { get; init; } = 8192;

    public int HeaderFields { get; init; } = 100;

    /// <summary>Bytes of all field lines with their CRLFs.</summary>
    public int HeaderBytes { get; init; } = 32 * 1024;

    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(75);

    public long BodySkipBytes { get; init; } = 1024 * 1024;

    /// <summary>Bytes per second, judged after five seconds of a body.</summary>
    public int BodyMinRate { get; init; } = 240;

    public TimeSpan LingerTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(10);
}
