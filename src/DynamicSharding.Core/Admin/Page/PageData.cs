using DynamicSharding.Config;

namespace DynamicSharding.Admin.Page;

/// <summary>Everything that one rendering of the page shows: one look at the server, and what the forms asked.</summary>
internal sealed record PageData(AdminContext Context, FleetView Fleet, DateTimeOffset Now)
{
    private readonly Dictionary<string, int> _places = Fleet.Gateways
        .Select(static (gateway, place) => KeyValuePair.Create(gateway.Status.Address, place))
        .ToDictionary(StringComparer.Ordinal);

    public ServerOptions Options { get; } = Context.Options();

    public required double RequestRate { get; init; }

    public required IReadOnlyDictionary<string, double> RedirectRates { get; init; }

    public required IReadOnlyList<WarningEntry> Warnings { get; init; }

    /// <summary>As typed; empty when nothing was asked.</summary>
    public required string Question { get; init; }

    public required ApiResult<LookupResponse>? Found { get; init; }

    public required string Add { get; init; }

    public required string Remove { get; init; }

    public required ApiResult<SimulateResponse>? Simulated { get; init; }

    /// <summary>The gateway's place among all that are known: its colour.</summary>
    public int ColorOf(string address) => _places.GetValueOrDefault(address) % RingPicture.Colors;

    /// <summary>How many of the warnings are of that severity.</summary>
    public int Count(string severity) => Warnings.Count(warning => warning.Severity == severity);
}
