using System.Collections.Immutable;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Discovery;

/// <summary>What keeps registrations from being as they should be: counted each time, and logged once, until it is over.</summary>
/// <param name="agent">Its address.</param>
internal sealed class RegistrationTrouble(string service, string agent, ILogger logger)
{
    private volatile string? _failure, _loss;
    private long _count;

    public long Count => Interlocked.Read(ref _count);

    /// <summary>Null if there is none.</summary>
    public string? Error => _failure ?? _loss;

    /// <summary>Our agent did not do what it was asked.</summary>
    public void Failed(Exception failure)
    {
        Interlocked.Increment(ref _count);
        if (failure.Message == _failure) return;
        _failure = failure.Message;
        Log.RegistrationFailed(logger, failure.Message, ConsulFailure.Of(failure).Advice(service));
    }

    public void Succeeded()
    {
        if (_failure is null) return;
        _failure = null;
        Recovered();
    }

    /// <summary>Our agent did what it was asked, and soon its list lacked these again.</summary>
    public void LostAgain(ImmutableArray<string> gateways)
    {
        Interlocked.Increment(ref _count);
        if (_loss is not null) return;
        _loss = $"the agent at {agent} accepts registrations and loses them";
        Log.RegistrationsLost(
            logger,
            agent,
            LogValue.List(gateways),
            "consul_server.addr must be one agent, not a load balancer in front of several; look in the agent's log for restarts and for what deregisters them");
    }

    public void Kept()
    {
        if (_loss is null) return;
        _loss = null;
        Recovered();
    }

    /// <summary>From one of two troubles: the other one may last.</summary>
    private void Recovered()
    {
        if (Error is null) Log.RegistrationRecovered(logger, service);
    }
}
