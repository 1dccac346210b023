using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Outbound;

/// <summary>
/// Turns host names into addresses on threads of its own. The system's resolver blocks its caller for as long as a name server is silent, 5
/// to 40 seconds; on pool threads a few such names would hold up everything else. Each name has at most one lookup under way, each kind of
/// name its own bounded set of threads, and the addresses that a name had last are used for as long as no newer ones are known.
/// </summary>
/// <param name="lookup">Blocks, and throws when there are no addresses.</param>
/// <param name="time">The clock of what is fresh.</param>
internal sealed class NameResolver(Func<string, IPAddress[]> lookup, TimeProvider time)
{
    /// <summary>
    /// For this long a name's addresses are used unasked. Then a name that is slow is looked up behind the connection that asks: with the time
    /// that this one and the next are kept, a move is followed within 30 seconds.
    /// </summary>
    public static readonly TimeSpan Fresh = TimeSpan.FromSeconds(10);

    /// <summary>How long a pooled connection is kept: the other half of following a name that moved.</summary>
    public static readonly TimeSpan ConnectionLifetime = TimeSpan.FromSeconds(7);

    /// <summary>How long newer addresses are waited for while there are old ones. Lookups that take longer are waited for by nobody.</summary>
    private static readonly TimeSpan VerdictTimeout = TimeSpan.FromSeconds(1);

    /// <summary>How long first addresses are waited for.</summary>
    private static readonly TimeSpan FirstPatience = TimeSpan.FromSeconds(5);

    /// <summary>Between a lookup that failed and the next.</summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan IdleThread = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Unused = TimeSpan.FromMinutes(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Name> _names = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Names whose last lookup succeeded soon: they wait for no name that hangs, only for one that begins to.</summary>
    private readonly Lane _good = new("names", 24);

    /// <summary>Names that were not looked up before.</summary>
    private readonly Lane _new = new("new names", 64);

    /// <summary>Names whose last lookup failed or took long: they wait for each other.</summary>
    private readonly Lane _slow = new("slow names", 16);

    private int _sweepAt = 1024;

    /// <summary>The one of the process: what a name means is the machine's business, and so is the bound on threads.</summary>
    public static NameResolver Shared { get; } = new(Dns.GetHostAddresses, TimeProvider.System);

    /// <summary>Tries the addresses in their order.</summary>
    /// <exception cref="SocketException">The name has no address, or none of them can be reached.</exception>
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
                // The next one.
            }
        }
    }

    /// <returns>At least one.</returns>
    public async ValueTask<IPAddress[]> ResolveAsync(string host, CancellationToken ct)
    {
        Task<Found> pending;
        IPAddress[]? old;
        Name name;
        lock (_gate)
        {
            name = Find(host);
            name.UsedAt = time.GetTimestamp();
            old = name.Addresses;
            bool isFresh = name.AskedAt is { } asked && time.GetElapsedTime(asked) < (name.Error is null ? Fresh : RetryPause);
            if (name.Pending is null && isFresh) return old ?? throw name.Error!;
            pending = name.Pending ??= Begin(name);
            if (old is not null && name.Lane == _slow) return old;
        }

        try
        {
            Found found = await pending.WaitAsync(old is null ? FirstPatience : VerdictTimeout, time, ct).ConfigureAwait(false);
            return found.Addresses ?? old ?? throw found.Error!;
        }
        catch (TimeoutException)
        {
            // The next one need not wait for a lookup that hangs.
            lock (_gate) name.Lane = _slow;
            return old ?? throw new IOException($"no addresses of {host} within {FirstPatience.TotalSeconds} s: its name server does not respond");
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

    private Name Find(string host)
    {
        if (_names.TryGetValue(host, out Name? name)) return name;
        if (_names.Count >= _sweepAt)
        {
            foreach (Name unused in _names.Values.Where(n => n.Pending is null && time.GetElapsedTime(n.UsedAt) > Unused).ToArray()) _names.Remove(unused.Host);
            _sweepAt = Math.Max(1024, 2 * _names.Count);
        }

        name = new Name(host, _new);
        _names.Add(host, name);
        return name;
    }

    private Task<Found> Begin(Name name)
    {
        var result = new TaskCompletionSource<Found>(TaskCreationOptions.RunContinuationsAsynchronously);
        name.Lane.Run(() =>
        {
            long begun = time.GetTimestamp();
            Found found;
            try
            {
                IPAddress[] addresses = lookup(name.Host);
                found = addresses.Length > 0 ? new Found(addresses, null) : new Found(null, new SocketException((int)SocketError.HostNotFound));
            }
            catch (Exception e)
            {
                // Whatever it is, it is the lookup's result.
                found = new Found(null, e);
            }

            lock (_gate)
            {
                bool isSlow = time.GetElapsedTime(begun) > VerdictTimeout;
                name.Lane = isSlow || found.Addresses is null ? _slow : _good;
                name.Addresses = found.Addresses ?? name.Addresses;
                name.Error = found.Error;
                name.AskedAt = time.GetTimestamp();
                name.Pending = null;
            }

            result.SetResult(found);
        });
        return result.Task;
    }

    /// <summary>What a lookup came to: one of the two.</summary>
    private sealed record Found(IPAddress[]? Addresses, Exception? Error);

    private sealed class Name(string host, Lane lane)
    {
        public string Host { get; } = host;

        public Lane Lane { get; set; } = lane;

        /// <summary>The last that were found, also while lookups fail.</summary>
        public IPAddress[]? Addresses { get; set; }

        /// <summary>Of the last lookup.</summary>
        public Exception? Error { get; set; }

        /// <summary>When the last lookup ended; null before.</summary>
        public long? AskedAt { get; set; }

        public long UsedAt { get; set; }

        public Task<Found>? Pending { get; set; }
    }

    /// <summary>Lookups in their order on a bounded number of threads, which come when they are needed and go when they are not.</summary>
    private sealed class Lane(string name, int maxThreads)
    {
        /// <summary>A lookup takes some tens of kilobytes.</summary>
        private const int StackBytes = 512 * 1024;

        private readonly object _lock = new();
        private readonly Queue<Action> _waiting = [];
        private int _threads;
        private int _idle;

        public void Run(Action work)
        {
            lock (_lock)
            {
                _waiting.Enqueue(work);
                if (_idle >= _waiting.Count)
                {
                    Monitor.Pulse(_lock);
                }
                else if (_threads < maxThreads)
                {
                    _threads++;
                    new Thread(Serve, StackBytes) { IsBackground = true, Name = name }.Start();
                }
            }
        }

        private void Serve()
        {
            while (true)
            {
                Action? work;
                lock (_lock)
                {
                    while (!_waiting.TryDequeue(out work))
                    {
                        _idle++;
                        bool woken = Monitor.Wait(_lock, IdleThread);
                        _idle--;
                        if (woken || _waiting.Count > 0) continue;
                        _threads--;
                        return;
                    }
                }

                work();
            }
        }
    }
}
