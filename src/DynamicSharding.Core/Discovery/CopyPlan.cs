using System.Collections.Immutable;

namespace DynamicSharding.Discovery;

/// <summary>
/// Decides when this instance writes or removes a copy of a gateway's registration, so that few of any number of instances do, without a
/// leader or a request between them. Where copies are missing, each waits for a random time and looks again: the first ones write, and the
/// others see that. See docs/decisions/0021-who-registers.md. Pure: the caller passes in the time. One caller at a time.
/// </summary>
internal sealed class CopyPlan(Random random)
{
    /// <summary>
    /// The longest wait while no live agent has the gateway. Several times what others need to see a new registration (up to a second; an
    /// instance that is late asks before it writes), and with the first run of a check (up to 5 s) shorter than the time after which a gateway without a verdict leaves (12 s by default).
    /// </summary>
    public static readonly TimeSpan LongestWithoutCopy = TimeSpan.FromSeconds(4);

    /// <summary>The same while one has it: nothing is urgent, and the longer the wait, the fewer write.</summary>
    public static readonly TimeSpan LongestWithOne = TimeSpan.FromSeconds(20);

    /// <summary>While there are two and both find the gateway dead, as it nearly always is.</summary>
    public static readonly TimeSpan LongestWhileFailing = TimeSpan.FromSeconds(60);

    /// <summary>
    /// The waits are right for up to so many instances. A few draws are much shorter than the longest wait, and most are close to it: a share of
    /// 1/N draws less than 1 - ln N / ln Instances of it.
    /// </summary>
    private const double Instances = 10_000;

    /// <summary>
    /// So many missing copies double the wait, up to the sixfold at a thousand: a list that is being filled is long, and changes for as long
    /// as instances write, so that they see each other's copies late.
    /// </summary>
    private const double SlowFrom = 200;
    private const double Slowest = 6;

    /// <summary>A list that never shows the copies that its instance asks for costs less and less: each wait in vain doubles the next, up to this.</summary>
    private const int MostPatient = 16;

    private static readonly TimeSpan ShortestToTrim = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan LongestToTrim = TimeSpan.FromMinutes(15);

    private readonly HashSet<string> _held = new(StringComparer.Ordinal);
    private readonly LostCopies _lost = new(random);
    private readonly Dictionary<string, Write> _writes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TimeSpan> _trims = new(StringComparer.Ordinal);

    /// <summary>Of the gateways that we hold, in the list before.</summary>
    private Dictionary<string, int> _counts = new(StringComparer.Ordinal);
    private GatewayCopies? _seen;

    /// <summary>When the next copy should be written; null if none is missing.</summary>
    public TimeSpan? NextWrite => _writes.Count == 0 ? null : _writes.Values.Min(static write => write.At);

    /// <summary>When the next copy of ours may be removed; null if none is too many.</summary>
    public TimeSpan? NextTrim => _trims.Count == 0 ? null : _trims.Values.Min();

    /// <summary>Our own agent has the gateway, as far as we know.</summary>
    public bool Holds(string address) => _held.Contains(address);

    /// <summary>Our own agent had the gateway a moment ago.</summary>
    public bool IsLost(string address) => _lost.Contains(address);

    /// <summary>It is urgent that our own agent has the gateway again.</summary>
    public bool IsUrgent(string address) => _lost.Contains(address) && !_lost.IsAgain(address);

    /// <summary>Our own agent accepts registrations and does not keep them.</summary>
    public bool IsAgentForgetful => _lost.IsForgetful;

    /// <summary>When our own agent should be read to see whether it has kept what was written; null if there is no reason.</summary>
    public TimeSpan? NextLook => _lost.NextLook;

    public bool IsWriteDue(TimeSpan now) => NextWrite <= now;

    /// <summary>Gateways whose copy on our own agent may be one too many, and long enough so.</summary>
    public ImmutableArray<string> DueTrims(TimeSpan now) => [.. _trims.Where(trim => trim.Value <= now).Select(static trim => trim.Key)];

    /// <summary>The longest wait for a first copy while so many are missing.</summary>
    public static TimeSpan LongestWait(int missing) => LongestWithoutCopy * Slowness(missing);

    /// <summary>Looks at Consul's list, and starts and stops waits.</summary>
    /// <param name="copies">Null before the first list.</param>
    /// <returns>A gateway that our agent should have lost a copy: it may be ours.</returns>
    public bool Update(ImmutableArray<string> servers, GatewayCopies? copies, TimeSpan now)
    {
        _lost.Expire(now);
        bool isDoubtful = false, isNews = !ReferenceEquals(copies, _seen);
        _seen = copies;
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        var missing = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string address in servers)
        {
            if (_held.Contains(address))
            {
                if (copies is null) continue;
                int count = counts[address] = copies.Count(address);
                int before = _counts.TryGetValue(address, out int known) ? known : 1;
                isDoubtful |= isNews && count < GatewayCopies.Wanted && count < before;
            }
            else if (IsMissing(address, copies))
            {
                missing[address] = copies?.Count(address) ?? 0;
            }
        }

        _counts = counts;
        foreach (string address in _writes.Keys.Where(address => !missing.ContainsKey(address)).ToArray()) _writes.Remove(address);
        foreach (IGrouping<int, KeyValuePair<string, int>> level in missing.GroupBy(static each => each.Value))
        {
            TimeSpan longest = LongestWith(level.Key) * Slowness(level.Count());
            foreach ((string address, int count) in level)
            {
                if (IsLost(address)) _writes[address] = new Write(count, _lost.WriteAt(address));
                else if (!_writes.TryGetValue(address, out Write write) || write.Copies != count) _writes[address] = new Write(count, now + Draw(longest));
            }
        }

        var surplus = _held.Where(address => copies?.HasSurplus(address) == true).ToHashSet(StringComparer.Ordinal);
        foreach (string address in _trims.Keys.Except(surplus, StringComparer.Ordinal).ToArray()) _trims.Remove(address);
        foreach (string address in surplus.Where(address => !_trims.ContainsKey(address))) Postpone(address, now);
        return isDoubtful;
    }

    /// <summary>Notes what our own agent has.</summary>
    /// <returns>What it has lost again, if it does not keep what is written to it.</returns>
    public ImmutableArray<string> Found(ImmutableArray<string> servers, Func<string, bool> isPresent, TimeSpan now)
    {
        // What a reload took out of the file is not missed.
        string[] before = [.. _held.Intersect(servers, StringComparer.Ordinal)];
        _held.Clear();
        _held.UnionWith(servers.Where(isPresent));
        foreach (string address in _held) _lost.Remove(address);
        return _lost.Vanished([.. before.Except(_held, StringComparer.Ordinal)], now);
    }

    /// <summary>When a copy should be written, which differs for each instance.</summary>
    public TimeSpan WriteAt(string address) => _writes.TryGetValue(address, out Write write) ? write.At : TimeSpan.MaxValue;

    /// <summary>It is time to write a copy, and it is still missing in the latest list.</summary>
    /// <param name="copies">Null before the first list.</param>
    public bool ShouldWrite(string address, GatewayCopies? copies, TimeSpan now) =>
        !_held.Contains(address) && _writes.TryGetValue(address, out Write write) && write.At <= now
        && IsMissing(address, copies) && (IsLost(address) || write.Copies >= copies?.Count(address));

    /// <summary>No instance has written the copy since the latest list.</summary>
    /// <param name="now">The copies that there are now.</param>
    public bool IsStillMissing(string address, GatewayCopies now) =>
        IsMissing(address, now) && _writes.TryGetValue(address, out Write write) && write.Copies >= now.Count(address);

    /// <summary>It was time to write a copy, but the list will show that one is there. If it does not, there is another wait.</summary>
    public void WaitAgain(string address, TimeSpan now)
    {
        if (!_writes.TryGetValue(address, out Write write)) return;
        int patience = Math.Min(2 * write.Patience, MostPatient);
        _writes[address] = write with { At = now + Draw(LongestWith(write.Copies) * write.Patience), Patience = patience };
    }

    public void Written(string address, TimeSpan now)
    {
        _held.Add(address);
        _lost.Written(address, now);
        _writes.Remove(address);
    }

    /// <summary>We deregistered it ourselves: it is not lost.</summary>
    public void Removed(string address)
    {
        _held.Remove(address);
        _lost.Remove(address);
        _writes.Remove(address);
        _trims.Remove(address);
    }

    public void Postpone(string address, TimeSpan now) =>
        _trims[address] = now + ShortestToTrim + ((LongestToTrim - ShortestToTrim) * random.NextDouble());

    /// <summary>The exponential waits of feedback suppression in multicast (Nonnenmacher and Biersack; RFC 5740).</summary>
    internal TimeSpan Draw(TimeSpan longest) => longest * Math.Max(0, 1 + (Math.Log(1 - random.NextDouble()) / Math.Log(Instances)));

    private static double Slowness(int missing) => Math.Min(1 + (missing / SlowFrom), Slowest);

    /// <param name="copies">That there are.</param>
    private static TimeSpan LongestWith(int copies) => copies switch
    {
        0 => LongestWithoutCopy,
        < GatewayCopies.Wanted => LongestWithOne,
        _ => LongestWhileFailing,
    };

    private bool IsMissing(string address, GatewayCopies? copies)
    {
        // Without any list only what our own agent lost is known to be missing.
        if (copies is null) return IsLost(address);
        int count = copies.Count(address);
        return count == 0
            || (count < GatewayCopies.Wanted && !copies.IsDraining(address))
            || (count < GatewayCopies.WantedWhileFailing && copies.IsFailing(address));
    }

    /// <summary>A copy is missing, and will be written unless another instance does it.</summary>
    /// <param name="Copies">That there are.</param>
    /// <param name="Patience">A factor for the next wait.</param>
    private readonly record struct Write(int Copies, TimeSpan At, int Patience = 1);
}
