namespace DynamicSharding.Discovery;

/// <summary>
/// Spaces the requests of the watch while Consul is slow to send lists. Where one change follows the other, all instances would otherwise ask again
/// as soon as they have a response, and servers and agents would do nothing else: not even the checks whose failures are the changes. Pure: the
/// caller passes in the time. Not thread-safe.
/// </summary>
internal sealed class ListPace
{
    /// <summary>A list takes some hundredths of a second, and this long when hundreds of instances read it after one change.</summary>
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);

    /// <summary>With it, a thousand instances read sixty lists a second.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(16);

    private TimeSpan _pause;
    private TimeSpan _from;

    /// <summary>A list has arrived, or has not in time.</summary>
    /// <param name="took">Since it was asked for; without a wait for a change.</param>
    public void Took(TimeSpan took, TimeSpan now)
    {
        TimeSpan next = took > Slow ? (_pause < Shortest ? Shortest : _pause * 2) : _pause / 2;
        _pause = next < Shortest ? TimeSpan.Zero : next < Longest ? next : Longest;
        _from = now;
    }

    /// <summary>How long Consul should not be asked; zero or less for no reason to wait.</summary>
    public TimeSpan Left(TimeSpan now) => _from + _pause - now;
}
