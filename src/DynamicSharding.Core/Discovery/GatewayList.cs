using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// The gateways that all parts of a list name together; a part is a DNS name, a file or a URL. A part that cannot be read keeps what it said
/// last. A part that says that it is gone keeps that, too, for the mass-loss hold, after which its gateways are lost like any others. Once the
/// list names gateways, it is never empty again.
/// </summary>
/// <param name="kind">Of the source.</param>
/// <param name="options">The configuration in force.</param>
/// <param name="changed">Called after the gateways have changed.</param>
/// <param name="logger">Where failures and their ends are logged.</param>
/// <param name="time">The clock.</param>
internal sealed class GatewayList(DiscoveryKind kind, Func<ServerOptions> options, Action changed, ILogger logger, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, Part> _parts = new(StringComparer.Ordinal);
    private ImmutableArray<ListedGateway> _current = [];
    private bool _isComplete;
    private bool _isCollecting;

    /// <summary>Why no ring has room for the parts together; null if one has.</summary>
    private string? _tooLarge;
    private DateTimeOffset? _lastGood;
    private long _failures;

    /// <summary>Null until every part has said once what it names; empty only if none has ever named any.</summary>
    public ImmutableArray<ListedGateway>? Current
    {
        get
        {
            lock (_lock) return _isComplete ? _current : null;
        }
    }

    public DiscoveryStatus Status
    {
        get
        {
            lock (_lock)
            {
                string? error = _parts.Values.FirstOrDefault(static part => part.Error is not null)?.Error ?? _tooLarge;
                return new DiscoveryStatus(kind, _isComplete ? _lastGood : null, _failures, error, 0, null);
            }
        }
    }

    /// <summary>The parts that must have spoken before the list is complete.</summary>
    public void Expect(IEnumerable<string> parts)
    {
        lock (_lock)
        {
            foreach (string name in parts) _parts.TryAdd(name, new Part());
        }
    }

    /// <summary>The part names these gateways, at least one.</summary>
    public void Found(string name, ImmutableArray<ListedGateway> gateways)
    {
        if (NoRoom(gateways) is { } problem)
        {
            Failed(name, $"{name}: names {problem}");
            return;
        }

        Update(name, part =>
        {
            if (part.Error is not null) Log.ListRecovered(logger, name);
            part.Gateways = gateways;
            part.GoneSince = null;
            part.IsForgotten = false;
            part.Error = null;
            part.HasSpoken = true;
        });
    }

    /// <summary>What the action says of the parts takes effect at its end, as one change. Only for a source whose parts one thread reads.</summary>
    public void Together(Action look)
    {
        lock (_lock) _isCollecting = true;
        try
        {
            look();
        }
        finally
        {
            bool isChanged;
            lock (_lock)
            {
                _isCollecting = false;
                isChanged = Settle();
            }

            if (isChanged) changed();
        }
    }

    /// <summary>The part cannot be read: it says nothing, and not any more that it is gone.</summary>
    /// <param name="name">Of the part.</param>
    /// <param name="error">The whole sentence, with the place.</param>
    public void Failed(string name, string error) => Update(name, part =>
    {
        Fail(part, error);
        part.GoneSince = null;
    });

    /// <summary>The part does not exist, or names none.</summary>
    public void Gone(string name, string error) => Update(name, part =>
    {
        Fail(part, error);
        part.HasSpoken = true;
        part.GoneSince ??= time.GetTimestamp();
    });

    /// <summary>The part does not exist any more, and need not come back.</summary>
    /// <returns>True once the hold is over, and others name gateways.</returns>
    public bool Lost(string name, string error)
    {
        lock (_lock)
        {
            if (!_parts.TryGetValue(name, out Part? part)) return true;
            part.IsForgotten = true;
        }

        Gone(name, error);
        lock (_lock) return !_parts.ContainsKey(name);
    }

    /// <summary>Takes out a part that never named gateways.</summary>
    public void Forget(string name)
    {
        lock (_lock)
        {
            if (_parts.TryGetValue(name, out Part? part) && part.Gateways.IsEmpty) _parts.Remove(name);
        }
    }

    private void Fail(Part part, string error)
    {
        _failures++;
        if (part.Error != error) Log.ListFailed(logger, error);
        part.Error = error;
    }

    private void Update(string name, Action<Part> update)
    {
        bool isChanged;
        lock (_lock)
        {
            if (!_parts.TryGetValue(name, out Part? part)) _parts.Add(name, part = new Part());
            update(part);
            isChanged = !_isCollecting && Settle();
        }

        if (isChanged) changed();
    }

    /// <returns>True if there is something to report.</returns>
    private bool Settle()
    {
        _isComplete |= _parts.Count > 0 && _parts.Values.All(static part => part.HasSpoken);
        if (!_isComplete) return false;
        bool isMerged = Merge();
        bool isFirst = _lastGood is null;
        if (isFirst && _tooLarge is not null) return _isComplete = false;
        if (isFirst || (_tooLarge is null && _parts.Values.All(static part => part.Error is null))) _lastGood = time.GetUtcNow();
        return isMerged || isFirst;
    }

    /// <summary>All gateways, sorted. Of two weights the larger counts, whatever the order of the lists.</summary>
    public static ImmutableArray<ListedGateway> Merge(IEnumerable<ImmutableArray<ListedGateway>> lists)
    {
        var merged = new SortedDictionary<string, int?>(StringComparer.Ordinal);
        foreach (ListedGateway gateway in lists.SelectMany(static list => list))
        {
            if (!merged.TryAdd(gateway.Address, gateway.Weight) && gateway.Weight > merged[gateway.Address]) merged[gateway.Address] = gateway.Weight;
        }

        return [.. merged.Select(static row => new ListedGateway(row.Key, row.Value))];
    }

    /// <returns>True if the gateways have changed.</returns>
    private bool Merge()
    {
        TimeSpan hold = options().Membership.MassLossHold;

        // When all parts are gone, or about to be, that is one fault of what they have in common: the last list stays.
        if (!_parts.Values.Any(static part => part.GoneSince is null && !part.Gateways.IsEmpty)) return false;
        foreach ((string name, Part part) in _parts.Where(row => row.Value.GoneSince is { } since && time.GetElapsedTime(since) >= hold).ToArray())
        {
            part.Gateways = [];
            if (part.IsForgotten) _parts.Remove(name);
        }

        ImmutableArray<ListedGateway> gateways = Merge(_parts.Values.Select(static part => part.Gateways));
        if (!HasRoom(gateways) || gateways.AsSpan().SequenceEqual(_current.AsSpan())) return false;
        _current = gateways;
        return true;
    }

    /// <summary>Not a part of them either: which one would depend on the order in which the parts were read.</summary>
    private bool HasRoom(ImmutableArray<ListedGateway> gateways)
    {
        string? problem = NoRoom(gateways);
        if (problem is null)
        {
            if (_tooLarge is not null) Log.ListRecovered(logger, kind.Name());
            _tooLarge = null;
            return true;
        }

        string largest = _parts.MaxBy(static row => WeightOf(row.Value.Gateways)).Key;
        string error = string.Create(CultureInfo.InvariantCulture, $"{largest} and {_parts.Count - 1} more: name {problem}");
        _failures++;
        if (_tooLarge != error) Log.ListFailed(logger, error);
        _tooLarge = error;
        return false;
    }

    /// <returns>What is wrong with a list of this size, and what to do; null if a ring has room for it.</returns>
    private string? NoRoom(ImmutableArray<ListedGateway> gateways)
    {
        int replicas = options().Sharding.Replicas;
        long weight = WeightOf(gateways);
        if (weight * replicas <= ShardingOptions.MaxPoints) return null;
        bool isWeighted = gateways.Any(static gateway => gateway.Weight is not (null or 1));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{gateways.Length} gateways{(isWeighted ? $" of weight {weight} together" : "")}, and with sharding.replicas {replicas} a ring has room for {ShardingOptions.MaxPoints / replicas}; lower sharding.replicas{(isWeighted ? " or the weights" : "")}, or list fewer gateways");
    }

    private static long WeightOf(ImmutableArray<ListedGateway> gateways) => gateways.Sum(static gateway => (long)(gateway.Weight ?? 1));

    private sealed class Part
    {
        public ImmutableArray<ListedGateway> Gateways { get; set; } = [];

        /// <summary>It named gateways once, or said that there are none.</summary>
        public bool HasSpoken { get; set; }

        /// <summary>Since when it says that there are none.</summary>
        public long? GoneSince { get; set; }

        public bool IsForgotten { get; set; }

        /// <summary>Of the last refresh; null after a success.</summary>
        public string? Error { get; set; }
    }
}
