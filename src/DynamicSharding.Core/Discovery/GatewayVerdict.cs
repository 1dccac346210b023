namespace DynamicSharding.Discovery;

/// <summary>What a source says about one gateway at one moment.</summary>
/// <param name="Address"><c>host:port</c>.</param>
/// <param name="Health">Its verdict.</param>
/// <param name="Overloaded">It answers that its write queue is full, and passes for that.</param>
/// <param name="Output">What the last check said, shortened; null when it said nothing.</param>
internal sealed record GatewayVerdict(string Address, GatewayHealth Health, bool Overloaded, string? Output)
{
    private const int MaxOutput = 256;

    /// <summary>It has a registration that no instance of ours made, nor the original: somebody else says that it exists.</summary>
    public bool Foreign { get; init; }
    /// <summary>Consul says passing, and no check has said anything: so it was registered, or there is no check.</summary>
    public bool IsUnproven => Health == GatewayHealth.Passing && Output is null;

    /// <summary>Check output comes from elsewhere: one line of bounded length, without control characters, is kept.</summary>
    public static string? Shorten(string? output)
    {
        if (string.IsNullOrWhiteSpace(output)) return null;
        ReadOnlySpan<char> text = output.AsSpan().Trim();
        return string.Create(Math.Min(text.Length, MaxOutput), text, static (line, source) =>
        {
            for (int i = 0; i < line.Length; i++) line[i] = char.IsControl(source[i]) ? ' ' : source[i];
        });
    }
}
