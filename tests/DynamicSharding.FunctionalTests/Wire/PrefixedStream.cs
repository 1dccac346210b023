namespace DynamicSharding.FunctionalTests.Wire;

/// <summary>Puts bytes before those of the first write, into the same segment.</summary>
internal sealed class PrefixedStream(Stream inner, byte[] prefix) : WriteFilterStream(inner)
{
    private byte[] _left = prefix;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        Inner.WriteAsync(WithPrefix(buffer.Span), cancellationToken);

    public override void Write(byte[] buffer, int offset, int count) => Inner.Write(WithPrefix(buffer.AsSpan(offset, count)));

    private byte[] WithPrefix(ReadOnlySpan<byte> bytes)
    {
        byte[] all = [.. _left, .. bytes];
        _left = [];
        return all;
    }
}
