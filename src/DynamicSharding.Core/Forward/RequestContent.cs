using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace DynamicSharding.Forward;

/// <summary>
/// A request's content. Up to 64 KiB are read before anything is sent, so that they can be sent again; what is longer is streamed, and
/// goes to a fresh connection.
/// </summary>
internal sealed class RequestContent : IDisposable
{
    public const int MaxReplay = 64 * 1024;

    private const int FirstBlock = 4096;

    private readonly Stream _rest;
    private readonly long? _announced;
    private readonly long _limit;
    private byte[]? _start;
    private int _length;
    private PrefixedStream? _streamed;

    private RequestContent(Stream rest, long? announced, long limit, byte[]? start)
    {
        _rest = rest;
        _announced = announced;
        _limit = limit;
        _start = start;
    }

    /// <summary>All of it is here.</summary>
    public bool IsWhole { get; private set; }

    /// <summary>Its length, when all of it is here.</summary>
    public int Length => _length;

    /// <summary>The gateway has a part of it that it might take, and the rest is still to come.</summary>
    public bool IsSpoiledWhenCut => _streamed is { IsComplete: false };

    /// <summary>Nothing moves because the client sends nothing; that has a clock of its own.</summary>
    public bool IsWaitingForClient => _streamed is { IsWaiting: true };

    /// <summary>Why the client's part of the streaming failed.</summary>
    public IOException? Failure => _streamed?.Failure;

    /// <exception cref="BadHttpRequestException">The client sent it too slowly, not in full, or more than the limit.</exception>
    public static async Task<RequestContent> ReadAsync(HttpContext http, long limit)
    {
        long? announced = http.Request.ContentLength;
        bool none = announced is 0 or null && http.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false };
        if (none) return new RequestContent(Stream.Null, 0, limit, null) { IsWhole = true };
        if (announced > MaxReplay) return new RequestContent(http.Request.Body, announced, limit, null);

        var content = new RequestContent(
            http.Request.Body, announced, limit, ArrayPool<byte>.Shared.Rent((int)(announced ?? FirstBlock)));
        try
        {
            await content.FillAsync();
            return content;
        }
        catch
        {
            content.Dispose();
            throw;
        }
    }

    /// <summary>From its beginning; as often as it is whole.</summary>
    /// <param name="clock">Of the waiting.</param>
    /// <param name="timeout">How long the gateway may be left waiting for the next of it.</param>
    public Stream Open(AwakeClock clock, TimeSpan timeout) => IsWhole
        ? new MemoryStream(_start ?? [], 0, _length, writable: false)
        : _streamed = new PrefixedStream(_start.AsMemory(0, _length), _rest, _announced, _limit, clock, timeout);

    public void Dispose()
    {
        if (_start is not null) ArrayPool<byte>.Shared.Return(_start);
        _start = null;
    }

    /// <summary>
    /// Not under the request's own token: Kestrel cancels it as soon as a client closes its half of the connection, which one may do that has
    /// sent everything. A client that is gone before that ends its content, too, and one that stalls is under the minimum rate.
    /// </summary>
    private async Task FillAsync()
    {
        while (_length != _announced)
        {
            if (_length > MaxReplay) return;
            if (_length == _start!.Length) Grow();
            int count = await _rest.ReadAsync(_start.AsMemory(_length));
            if (count == 0) break;
            _length += count;
            if (_length > _limit) throw PrefixedStream.TooLong();
        }

        IsWhole = true;
    }

    private void Grow()
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Min(_start!.Length * 4, MaxReplay + 1));
        _start.AsSpan(0, _length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_start);
        _start = larger;
    }
}
