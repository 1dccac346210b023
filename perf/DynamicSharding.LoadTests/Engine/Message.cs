namespace DynamicSharding.LoadTests.Engine;

/// <summary>What one write sends: a request, or as many as are pipelined.</summary>
/// <param name="Head">The request with its body; a large body is left to <paramref name="Tail"/>, which messages share.</param>
internal sealed record Message(byte[] Head, byte[] Tail, Expectation[] Expected)
{
    public int Length => Head.Length + Tail.Length;

    /// <summary>What is to be sent from an offset on, without a copy.</summary>
    public ReadOnlySpan<byte> From(int offset) => offset < Head.Length ? Head.AsSpan(offset) : Tail.AsSpan(offset - Head.Length);
}
