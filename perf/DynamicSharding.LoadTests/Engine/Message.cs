namespace DynamicSharding.LoadTests.Engine;

/// <summary>The bytes of one write: one request, or several pipelined ones.</summary>
/// <param name="Head">The request with its body; a large body is in <paramref name="Tail"/>, which messages share.</param>
internal sealed record Message(byte[] Head, byte[] Tail, Expectation[] Expected)
{
    public int Length => Head.Length + Tail.Length;

    /// <summary>The bytes from an offset on, without a copy.</summary>
    public ReadOnlySpan<byte> From(int offset) => offset < Head.Length ? Head.AsSpan(offset) : Tail.AsSpan(offset - Head.Length);
}
