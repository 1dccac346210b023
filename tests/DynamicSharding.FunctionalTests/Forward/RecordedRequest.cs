namespace DynamicSharding.FunctionalTests.Forward;

/// <summary>What a gateway received, one character per byte.</summary>
/// <param name="Head">Request line and fields, including the empty line.</param>
/// <param name="Content">Without its framing.</param>
internal sealed record RecordedRequest(string Gateway, string Head, string Content)
{
    public string Method => Head[..Head.IndexOf(' ', StringComparison.Ordinal)];

    public string Target => Head.Split(' ', 3)[1];

    /// <summary>The field lines, without the request line.</summary>
    public string[] Fields => Head.Split("\r\n", StringSplitOptions.RemoveEmptyEntries)[1..];

    public string? Field(string name) => Fields
        .Where(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
        .Select(line => line[(name.Length + 1)..].Trim())
        .SingleOrDefault();
}
