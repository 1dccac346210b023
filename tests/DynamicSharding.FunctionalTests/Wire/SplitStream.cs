namespace DynamicSharding.FunctionalTests.Wire;

/// <summary>Sends every byte on its own.</summary>
internal sealed class SplitStream(Stream inner) : WriteFilterStream(inner)
{
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (int i = 0; i < buffer.Length; i++)
        {
            await Inner.WriteAsync(buffer.Slice(i, 1), cancellationToken);

            // Lets the server read each byte on its own, most of the time.
            await Task.Yield();
        }
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        for (int i = 0; i < count; i++) Inner.Write(buffer, offset + i, 1);
    }
}
