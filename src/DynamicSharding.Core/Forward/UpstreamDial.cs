using System.Runtime.InteropServices;

namespace DynamicSharding.Forward;

/// <summary>
/// One push's way to a new connection: the addresses of its gateway, each once, the one that worked last first. When the name moves
/// meanwhile, those that it has now, from the first.
/// </summary>
/// <remarks>A mutable struct that lives in its session. <c>default</c> is before the first address.</remarks>
internal struct UpstreamDial
{
    private EndpointList? _endpoints;
    private int _first;
    private int _tried;
    private string? _error;

    /// <summary>Why the addresses tried so far did not take a connection.</summary>
    public readonly string Error => _error ?? "no address";

    public readonly bool HasMore(GatewayEndpoints endpoints) => HasMoved(endpoints) || Untried > 0;

    /// <summary>The name has other addresses than those that are tried.</summary>
    public readonly bool HasMoved(GatewayEndpoints endpoints) => _endpoints is not null && !ReferenceEquals(_endpoints, endpoints.Current);

    private readonly int Untried => _endpoints is null ? 0 : _endpoints.Count - _tried;

    /// <returns>False while there is no address.</returns>
    public bool TryBegin(GatewayEndpoints endpoints)
    {
        if (_endpoints is not null && !HasMoved(endpoints)) return true;
        _endpoints = endpoints.Current;
        if (_endpoints is null) return false;
        _first = _endpoints.First;
        _tried = 0;
        return true;
    }

    /// <summary>Begins to connect to the next address that does not refuse at once.</summary>
    /// <returns>Null when none is left.</returns>
    public Upstream? Next(UpstreamPool pool, ForwardSession session)
    {
        while (Untried > 0)
        {
            Upstream? upstream = pool.Connect(_endpoints!, (_first + _tried++) % _endpoints!.Count, session, out int error);
            if (upstream is not null) return upstream;
            _error = Marshal.GetPInvokeErrorMessage(error);
        }

        return null;
    }

    public void OnFailed(string error) => _error = error;
}
