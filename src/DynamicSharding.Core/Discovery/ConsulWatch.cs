using System.Globalization;
using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Consul;
using DynamicSharding.Diagnostics;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>
/// Follows one service with blocking queries, one at a time. An index is a hint and nothing more: what counts is the content, and whatever
/// fails, the next question starts from the beginning.
/// </summary>
internal sealed class ConsulWatch(ConsulClient client, ConsulOptions options, ILogger logger, TimeProvider time)
{
    /// <summary>Short: a query that is given up keeps its place in the agent until its wait is over.</summary>
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(60);

    private readonly string _service = options.RegisterServiceName;
    private readonly LoopLimiter _limiter = new(time);
    private readonly Backoff _backoff = new(Random.Shared);
    private ConsulTrouble _trouble;
    private bool _answered;
    private volatile DiscoveryStatus _status = new("consul", null, 0, null, 0, null);

    public DiscoveryStatus Status => _status;

    /// <param name="answered">Told every complete answer that is not empty.</param>
    /// <param name="lost">Told when there is no such answer: a failure, or an empty list, which proves nothing.</param>
    /// <param name="reconcile">Told when registrations may be gone: nobody is there, or Consul answers again after it could not be reached.</param>
    /// <param name="ct">Ends it.</param>
    public async Task RunAsync(
        Func<List<ServiceEntry>, Task> answered, Func<Task> lost, Action reconcile, CancellationToken ct)
    {
        ulong index = 0;
        while (true)
        {
            await _limiter.WaitAsync(ct).ConfigureAwait(false);
            try
            {
                QueryResult<List<ServiceEntry>> result = await client.Health
                    .Service(_service, new QueryOptions(Mode(options.Consistency), index, Wait), ct).ConfigureAwait(false);
                ulong newest = Math.Max(1, result.LastIndex ?? throw new InvalidDataException("the answer has no X-Consul-Index"));
                _backoff.Reset();
                if (newest < index)
                {
                    // A snapshot was restored or the cluster rebuilt: this answer may be of a passing moment, ask anew.
                    Log.ConsulIndexWentBack(logger, index, newest);
                    index = 0;
                    continue;
                }

                // Never half a list: what the token's rights hide would look like gateways that left.
                if (result.FilteredByAcls) throw new ConsulRequestException(HttpStatusCode.Forbidden, "the token's rights hide some instances", null);

                _status = _status with
                {
                    LastGoodAnswer = time.GetUtcNow(),
                    LastError = null,
                    ConsulIndex = newest,
                    ConsulLastContact = result.LastContact,
                    ConsulKnownLeader = result.KnownLeader,
                };
                await TellAsync(result.Response, isNews: newest != index, answered, lost, reconcile).ConfigureAwait(false);
                index = newest;
            }
            catch (Exception ex) when (!ct.IsCancellationRequested)
            {
                // Whatever it is, a bug of ours included: the ring stays, the watch goes on.
                index = 0;
                _status = _status with { Failures = _status.Failures + 1, LastError = ex.Message };
                Enter(ConsulTroubles.Of(ex), ex.Message);
                Log.ConsulQueryFailed(logger, ex.Message);
                await lost().ConfigureAwait(false);
                await Task.Delay(_backoff.Next((ex as ConsulRequestException)?.RetryAfter), time, ct).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Tells every complete answer, a repeated one, too: the listener compares contents, and may have new settings to judge them by.</summary>
    private async Task TellAsync(
        List<ServiceEntry> rows, bool isNews, Func<List<ServiceEntry>, Task> answered, Func<Task> lost, Action reconcile)
    {
        bool empty = rows.Count == 0;
        bool wasLost = _trouble is not (ConsulTrouble.None or ConsulTrouble.Empty);

        // At first nobody may be registered, until the first instance has done it: that is a warning only when it lasts.
        if (!empty || _answered || !isNews) Enter(empty ? ConsulTrouble.Empty : ConsulTrouble.None, "");
        if (wasLost || empty) reconcile();
        _answered |= !empty;
        await (empty ? lost() : answered(rows)).ConfigureAwait(false);
    }

    /// <summary>Says a trouble once, when it begins or changes, and that it is over.</summary>
    private void Enter(ConsulTrouble trouble, string error)
    {
        if (trouble == _trouble) return;
        _trouble = trouble;
        if (trouble == ConsulTrouble.None)
        {
            Log.ConsulRecovered(logger, _service);
            return;
        }

        Log.ConsulTrouble(logger, trouble.ToString().ToLower(CultureInfo.InvariantCulture), error, ConsulTroubles.Advice(trouble, _service));
    }

    private static ConsistencyMode Mode(ConsulConsistency consistency) => consistency switch
    {
        ConsulConsistency.Default => ConsistencyMode.Default,
        ConsulConsistency.Consistent => ConsistencyMode.Consistent,
        _ => ConsistencyMode.Stale,
    };
}
