using System.Globalization;
using System.Net.Sockets;
using System.Security.Authentication;

namespace DynamicSharding.Cleanup;

/// <summary>One request with its response; a gateway that falls silent ends it.</summary>
internal sealed class GatewayExchange : IDisposable
{
    /// <summary>Of a whole response. One that drips forever would keep all other gateways from being cleaned.</summary>
    private static readonly TimeSpan ResponseLimit = TimeSpan.FromMinutes(2);

    private readonly string _what;
    private readonly TimeSpan _silence;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource _expiry;
    private readonly CancellationTokenSource _either;
    private readonly TimeProvider _time;
    private readonly long _begun;
    private HttpResponseMessage? _response;
    private Stream? _body;

    public GatewayExchange(string what, TimeSpan silence, TimeProvider time, CancellationToken caller)
    {
        (_what, _silence, _caller, _time, _begun) = (what, silence, caller, time, time.GetTimestamp());
        _expiry = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(caller, _expiry.Token);
    }

    public HttpResponseMessage Response => _response!;

    public Task<int> SendAsync(HttpClient http, HttpRequestMessage request, TimeSpan timeout) => Bounded(timeout, "no response", async ct =>
    {
        _response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct).ConfigureAwait(false);
        _body = await _response.Content.ReadAsStreamAsync(ct).ConfigureAwait(false);
        return 0;
    });

    public Task<int> ReadAsync(Memory<byte> buffer)
    {
        if (_time.GetElapsedTime(_begun) > ResponseLimit) throw new PushgatewayException(string.Create(CultureInfo.InvariantCulture, $"{_what}: the response takes more than {ResponseLimit.TotalMinutes} min"));
        return Bounded(_silence, "nothing more of the response", async ct => await _body!.ReadAsync(buffer, ct).ConfigureAwait(false));
    }

    public async Task<ReadOnlyMemory<byte>> ReadUpToAsync(int max)
    {
        byte[] bytes = new byte[Math.Min(max, 8 * 1024)];
        for (int length = 0; ;)
        {
            int read = await ReadAsync(bytes.AsMemory(length)).ConfigureAwait(false);
            length += read;
            if (read == 0 || length == max) return bytes.AsMemory(0, length);
            if (length == bytes.Length) Array.Resize(ref bytes, Math.Min(max, 2 * length));
        }
    }

    public void Dispose()
    {
        _body?.Dispose();
        _response?.Dispose();
        _either.Dispose();
        _expiry.Dispose();
    }

    private async Task<T> Bounded<T>(TimeSpan timeout, string what, Func<CancellationToken, Task<T>> step)
    {
        _expiry.CancelAfter(timeout);
        try
        {
            return await step(_either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!_caller.IsCancellationRequested)
        {
            // Else the handler's own limit on the time to connect.
            if (!_expiry.IsCancellationRequested) throw new PushgatewayException($"{_what}: {(e.InnerException ?? e).Message}");
            throw new PushgatewayException(string.Create(CultureInfo.InvariantCulture, $"{_what}: {what} for {timeout.TotalSeconds:0.###} s"));
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or AuthenticationException)
        {
            Exception cause = e;
            while (cause.InnerException is { } inner) cause = inner;
            throw new PushgatewayException($"{_what}: {cause.Message}");
        }
    }
}
