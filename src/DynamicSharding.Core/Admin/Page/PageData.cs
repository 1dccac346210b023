using DynamicSharding.Admin.Api;
using DynamicSharding.Config;

namespace DynamicSharding.Admin.Page;

/// <summary>Everything that one rendering of the page shows: one look at the server, and what the forms asked.</summary>
internal sealed record PageData(AdminContext Context, FleetView Fleet, DateTimeOffset Now)
{
    public ServerOptions Options { get; } = Context.Options();

    public required double RequestRate { get; init; }

    public required IReadOnlyDictionary<string, double> RedirectRates { get; init; }

    public required IReadOnlyList<WarningEntry> Warnings { get; init; }

    /// <summary>As typed; empty when nothing was asked.</summary>
    public required string Question { get; init; }

    public required Answer<LookupResponse>? Found { get; init; }

    public required string Add { get; init; }

    public required string Remove { get; init; }

    public required Answer<SimulateResponse>? Simulated { get; init; }

    /// <summary>The gateway's place among all that are known: its colour.</summary>
    public int ColourOf(string address)
    {
        for (int i = 0; i < Fleet.Gateways.Length; i++)
            if (Fleet.Gateways[i].Status.Address == address) return i % RingPicture.Colours;
        return 0;
    }
}
