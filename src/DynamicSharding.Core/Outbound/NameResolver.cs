using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Outbound;

/// <summary>
/// Resolves host names on its own threads. The system's resolver blocks for 5 to 40 seconds while a name server is silent; on pool threads a
/// few such names would stall everything else. A name has at most one lookup at a time, each kind of name has its own bounded number of
/// threads, and the last addresses of a name stay in use until newer ones are known.
/// </summary>
/// <param name="lookup">Blocks, and throws when there are no addresses.</param>
/// <param name="time">The clock.</param>
/// <param name="maxAge">Null for <see cref="MaxAge"/>.</param>
#pragma warning disable CA1001 // Semaphores without a wait handle have nothing to dispose.
internal sealed class NameResolver(Func<string, IPAddress[]> lookup, TimeProvider time, TimeSpan? maxAge = null)
#pragma warning restore CA1001
{
    /// <summary>
    /// Addresses of the system's resolver that are newer than this are used without a lookup. Older ones of a slow name are used once more while a lookup runs, so together with the
    /// lifetime of two connections a move is noticed within 30 seconds.
    /// </summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(10);

    /// <summary>Of a pooled connection: an open one does not notice that its name has moved.</summary>
    public static readonly TimeSpan ConnectionLifetime = TimeSpan.FromSeconds(7);

    /// <summary>How long to wait for newer addresses while there are old ones. A name whose lookups take longer is slow.</summary>
    private static readonly TimeSpan RefreshTimeout = TimeSpan.FromSeconds(1);

    /// <summary>How long to wait for a name's first addresses.</summary>
    private static readonly TimeSpan FirstTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Between a failed lookup and the next.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan ForgetAfter = TimeSpan.FromMinutes(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Name> _names = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Names whose last lookup was fast. They never wait for a name that is known to hang.</summary>
    private readonly SemaphoreSlim _fast = new(24);

    /// <summary>Names without a lookup so far.</summary>
    private readonly SemaphoreSlim _new = new(64);

    /// <summary>Names whose last lookup failed or was slow.</summary>
    private readonly SemaphoreSlim _slow = new(16);

    private int _sweepAt = 1024;

    /// <summary>One for the process, because names and threads belong to the machine.</summary>
    public static NameResolver Shared { get; } = new(Dns.GetHostAddresses, TimeProvider.System);

    /// <summary>Addresses newer than this are used without a lookup.</summary>
    public TimeSpan Freshness { get; } = maxAge ?? MaxAge;

    /// <summary>Tries the addresses in order.</summary>
    /// <exception cref="SocketException">The name has no address, or none is reachable.</exception>
    /// <exception cref="IOException">The resolver does not respond.</exception>
    public async ValueTask<Socket> ConnectAsync(string host, int port, CancellationToken ct)
    {
        if (IPAddress.TryParse(host, out IPAddress? literal)) return await ConnectAsync(literal, port, ct).ConfigureAwait(false);
        IPAddress[] addresses = await ResolveAsync(host, ct).ConfigureAwait(false);
        for (int i = 0; ; i++)
        {
            try
            {
                return await ConnectAsync(addresses[i], port, ct).ConfigureAwait(false);
            }
            catch (SocketException) when (i + 1 < addresses.Length)
            {
                // Try the next one.
            }
        }
    }

    /// <returns>At least one.</returns>
    public async ValueTask<IPAddress[]> ResolveAsync(string host, CancellationToken ct)
    {
        Task<LookupResult> pending;
        IPAddress[]? old;
        Name name;
        lock (_lock)
        {
            name = GetOrAdd(host);
            name.UsedAt = time.GetTimestamp();
            old = name.Addresses;
            bool isFresh = name.LookedUpAt is { } then && time.GetElapsedTime(then) < (name.Error is null ? Freshness : RetryPause);
            if (name.Pending is null && isFresh) return old ?? throw name.Error!;
            pending = name.Pending ??= LookupAsync(name, name.Lane);
            if (old is not null && name.Lane == _slow) return old;
        }

        try
        {
            LookupResult result = await pending.WaitAsync(old is null ? FirstTimeout : RefreshTimeout, time, ct).ConfigureAwait(false);
            return result.Addresses ?? old ?? throw result.Error!;
        }
        catch (TimeoutException)
        {
            // The next caller does not wait for a lookup that hangs.
            lock (_lock) name.Lane = _slow;
            return old ?? throw new IOException($"no addresses of {host} within {FirstTimeout.TotalSeconds} s: its name server does not respond");
        }
    }

    private static async ValueTask<Socket> ConnectAsync(IPAddress address, int port, CancellationToken ct)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(new IPEndPoint(address, port), ct).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private Name GetOrAdd(string host)
    {
        if (_names.TryGetValue(host, out Name? name)) return name;
        if (_names.Count >= _sweepAt)
        {
            foreach (Name unused in _names.Values.Where(n => n.Pending is null && time.GetElapsedTime(n.UsedAt) > ForgetAfter).ToArray()) _names.Remove(unused.Host);
            _sweepAt = Math.Max(1024, 2 * _names.Count);
        }

        name = new Name(host, _new);
        _names.Add(host, name);
        return name;
    }

    private async Task<LookupResult> LookupAsync(Name name, SemaphoreSlim lane)
    {
        // The caller holds the lock.
        await Task.Yield();
        await lane.WaitAsync().ConfigureAwait(false);
        long start = time.GetTimestamp();
        LookupResult result;
        try
        {
            IPAddress[] addresses = await Task.Factory.StartNew(
                () => lookup(name.Host), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
            result = addresses.Length > 0 ? new LookupResult(addresses, null) : new LookupResult(null, new SocketException((int)SocketError.HostNotFound));
        }
        catch (Exception ex)
        {
            result = new LookupResult(null, ex);
        }

        lane.Release();
        lock (_lock)
        {
            bool isSlow = result.Addresses is null || time.GetElapsedTime(start) > RefreshTimeout;
            name.Lane = isSlow ? _slow : _fast;
            name.Addresses = result.Addresses ?? name.Addresses;
            name.Error = result.Error;
            name.LookedUpAt = time.GetTimestamp();
            name.Pending = null;
        }

        return result;
    }

    /// <summary>Exactly one is not null.</summary>
    private sealed record LookupResult(IPAddress[]? Addresses, Exception? Error);

    private sealed class Name(string host, SemaphoreSlim lane)
    {
        public string Host { get; } = host;

        /// <summary>Bounds the threads of its next lookup.</summary>
        public SemaphoreSlim Lane { get; set; } = lane;

        /// <summary>Of the last lookup that succeeded.</summary>
        public IPAddress[]? Addresses { get; set; }

        /// <summary>Of the last lookup.</summary>
        public Exception? Error { get; set; }

        /// <summary>When the last lookup ended; null before.</summary>
        public long? LookedUpAt { get; set; }

        public long UsedAt { get; set; }

        public Task<LookupResult>? Pending { get; set; }
    }
}
