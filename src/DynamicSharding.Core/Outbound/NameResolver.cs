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
#pragma warning disable CA1001 // Semaphores without a wait handle have nothing to dispose.
internal sealed class NameResolver(Func<string, NameAddresses> lookup, TimeProvider time)
#pragma warning restore CA1001
{
    /// <summary>
    /// Addresses of the system's resolver that are newer than this are used without a lookup. Older ones of a slow name are used once more while a lookup runs, so together with the
    /// lifetime of two connections a move is noticed within 30 seconds.
    /// </summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(10);

    /// <summary>Bounds of a TTL. Without the upper one, a record that was published with a TTL of a day by mistake would be followed the day after.</summary>
    private static readonly TimeSpan MinTimeToLive = TimeSpan.FromSeconds(1), MaxTimeToLive = TimeSpan.FromSeconds(30);

    /// <summary>Of a pooled connection: an open one does not notice that its name has moved.</summary>
    public static readonly TimeSpan ConnectionLifetime = TimeSpan.FromSeconds(7);

    /// <summary>How long to wait for newer addresses while there are old ones. A name whose lookups take longer is slow.</summary>
    private static readonly TimeSpan RefreshTimeout = TimeSpan.FromSeconds(1);

    /// <summary>How long to wait for a name's first addresses.</summary>
    private static readonly TimeSpan FirstTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Between a failed lookup and the next.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    /// <summary>The same for a name that keeps its addresses. One that is gone for good is asked for by every instance.</summary>
    private static readonly TimeSpan KeptRetryPause = TimeSpan.FromSeconds(5);

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

    /// <param name="lookup">Does not know how long the addresses are valid.</param>
    /// <param name="time">The clock.</param>
    public NameResolver(Func<string, IPAddress[]> lookup, TimeProvider time)
        : this(host => new NameAddresses(lookup(host), null), time)
    {
    }

    /// <summary>One for the process, because names and threads belong to the machine.</summary>
    public static NameResolver Shared { get; } = new(Dns.GetHostAddresses, TimeProvider.System);

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
        Task<LookupResult>? pending;
        IPAddress[]? old;
        Name name;
        lock (_lock)
        {
            (name, pending) = Ask(host);
            old = name.Addresses;
            if (pending is null) return old ?? throw name.Error!;
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

    /// <summary>For one that keeps a name's addresses up to date. Once there are any it waits for newer ones, however long that takes.</summary>
    /// <returns>At least one address, and when to ask for the next.</returns>
    public async ValueTask<(IPAddress[] Addresses, TimeSpan DueIn)> RefreshAsync(string host, CancellationToken ct)
    {
        Task<LookupResult>? pending;
        bool isFirst;
        Name name;
        lock (_lock)
        {
            (name, pending) = Ask(host);
            isFirst = name.Addresses is null;
        }

        if (isFirst) await ResolveAsync(host, ct).ConfigureAwait(false);
        else if (pending is not null) await pending.WaitAsync(ct).ConfigureAwait(false);
        lock (_lock)
        {
            if (name.Error is null) return (name.Addresses!, name.ValidFor - time.GetElapsedTime(name.AskedAt));
            return (name.Addresses ?? throw name.Error, name.ValidFor < KeptRetryPause ? name.ValidFor : KeptRetryPause);
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

    /// <summary>The caller holds the lock.</summary>
    /// <returns>Null instead of the lookup while what the last one found is good enough.</returns>
    private (Name Name, Task<LookupResult>? Pending) Ask(string host)
    {
        Name name = GetOrAdd(host);
        name.UsedAt = time.GetTimestamp();
        if (name.Pending is null && name.EndedAt is { } ended)
        {
            bool isFresh = name.Error is null ? time.GetElapsedTime(name.AskedAt) < name.ValidFor : time.GetElapsedTime(ended) < RetryPause;
            if (isFresh) return (name, null);
        }

        return (name, name.Pending ??= LookupAsync(name, name.Lane));
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
            NameAddresses found = await Task.Factory.StartNew(
                () => lookup(name.Host), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
            result = found.Addresses.Length > 0
                ? new LookupResult(found.Addresses, found.TimeToLive, null)
                : new LookupResult(null, null, new SocketException((int)SocketError.HostNotFound));
        }
        catch (Exception ex)
        {
            result = new LookupResult(null, null, ex);
        }

        lane.Release();
        lock (_lock)
        {
            bool isSlow = result.Addresses is null || time.GetElapsedTime(start) > RefreshTimeout;
            name.Lane = isSlow ? _slow : _fast;
            if (result.Addresses is not null)
            {
                // What the name server said may have changed while its response was on the way.
                name.Addresses = result.Addresses;
                name.AskedAt = start;
                name.ValidFor = result.TimeToLive is { } ttl ? TimeSpan.FromTicks(Math.Clamp(ttl.Ticks, MinTimeToLive.Ticks, MaxTimeToLive.Ticks)) : MaxAge;
            }

            name.Error = result.Error;
            name.EndedAt = time.GetTimestamp();
            name.Pending = null;
        }

        return result;
    }

    /// <summary>Either addresses or an error.</summary>
    private sealed record LookupResult(IPAddress[]? Addresses, TimeSpan? TimeToLive, Exception? Error);

    private sealed class Name(string host, SemaphoreSlim lane)
    {
        public string Host { get; } = host;

        /// <summary>Bounds the threads of its next lookup.</summary>
        public SemaphoreSlim Lane { get; set; } = lane;

        /// <summary>Of the last lookup that succeeded.</summary>
        public IPAddress[]? Addresses { get; set; }

        /// <summary>When that began.</summary>
        public long AskedAt { get; set; }

        /// <summary>From then on, no lookup is needed for so long.</summary>
        public TimeSpan ValidFor { get; set; } = MaxAge;

        /// <summary>Of the last lookup.</summary>
        public Exception? Error { get; set; }

        /// <summary>When the last lookup ended; null before.</summary>
        public long? EndedAt { get; set; }

        public long UsedAt { get; set; }

        public Task<LookupResult>? Pending { get; set; }
    }
}

/// <param name="Addresses">In the order to try.</param>
/// <param name="TimeToLive">How long they are valid; null when that is not known.</param>
internal sealed record NameAddresses(IPAddress[] Addresses, TimeSpan? TimeToLive);
