using System.Collections.Immutable;

namespace DynamicSharding.Discovery;

/// <summary>
/// What our own agent had and lost. It is urgent that the agent has it again, so it is written at once. An agent that loses it again, shortly
/// after and more than once, gets it after waits that grow. Pure: the caller passes in the time.
/// </summary>
internal sealed class LostCopies(Random random)
{
    /// <summary>A copy counts as lost for so long, if others have enough meanwhile.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromMinutes(2);

    /// <summary>
    /// What is lost later than this after it was written was kept for a while. Shorter than Consul's shortest deregister_critical_after, one minute:
    /// that the agent reaps a dead gateway is no fault.
    /// </summary>
    private static readonly TimeSpan Shortly = TimeSpan.FromSeconds(45);

    /// <summary>After what was lost is written again, the agent is read again to see whether it has kept it.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(5);

    /// <summary>An agent may restart right after it was written to, and needs the registrations at once.</summary>
    private const int Tolerated = 1;

    private readonly Backoff _backoff = new(random);
    private readonly Dictionary<string, (TimeSpan At, bool IsAgain)> _lost = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TimeSpan> _writtenAt = new(StringComparer.Ordinal);
    private TimeSpan _lastWrite, _pauseUntil;

    /// <summary>Readings that lacked what had been written shortly before, since the agent was last trusted.</summary>
    private int _again;

    /// <summary>The agent accepts registrations and does not keep them.</summary>
    public bool IsForgetful => _again > Tolerated;

    /// <summary>When the agent should be read because of what was written; null if there is no reason.</summary>
    public TimeSpan? NextLook { get; private set; }

    public bool Contains(string address) => _lost.ContainsKey(address);

    /// <summary>It was lost again, shortly after it was written: nothing is urgent.</summary>
    public bool IsAgain(string address) => _lost.TryGetValue(address, out (TimeSpan At, bool IsAgain) lost) && lost.IsAgain;

    /// <summary>When a lost copy may be written.</summary>
    public TimeSpan WriteAt(string address) => IsAgain(address) ? _pauseUntil : _lost[address].At;

    /// <summary>Takes what a reading lacks that the agent had.</summary>
    /// <returns>What a forgetful agent has lost again.</returns>
    public ImmutableArray<string> Vanished(IReadOnlyCollection<string> addresses, TimeSpan now)
    {
        ImmutableArray<string> again = [.. addresses.Where(address => _writtenAt.TryGetValue(address, out TimeSpan at) && now - at < Shortly)];
        NextLook = null;
        if (!again.IsEmpty)
        {
            _again++;
            if (IsForgetful) _pauseUntil = now + _backoff.Next(null);
        }
        else if (_again > 0)
        {
            // What is missing when the time is over was not kept.
            if (now - _lastWrite < Shortly) NextLook = _lastWrite + Shortly;
            else if (addresses.Count == 0 && _lost.Count == 0) Trust();
        }

        if (!IsForgetful) again = [];
        foreach (string address in addresses) _lost[address] = (now, again.Contains(address));
        return again;
    }

    public void Expire(TimeSpan now)
    {
        foreach (string address in _lost.Where(lost => now - lost.Value.At > Memory).Select(static lost => lost.Key).ToArray()) _lost.Remove(address);
        foreach (string address in _writtenAt.Where(written => now - written.Value > Shortly).Select(static written => written.Key).ToArray()) _writtenAt.Remove(address);
    }

    public void Written(string address, TimeSpan now)
    {
        if (_lost.Remove(address)) NextLook = now + Look;
        _writtenAt[address] = _lastWrite = now;
    }

    /// <summary>The agent has it, or need not.</summary>
    public void Remove(string address) => _lost.Remove(address);

    private void Trust()
    {
        _again = 0;
        _backoff.Reset();
    }
}
