using DynamicSharding.Config;
using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Admin.Page;

/// <summary>
/// The page at <c>/</c>. It works without scripts; its forms use GET. The script only fetches the same page again and replaces its parts, so that
/// there is one way of rendering.
/// </summary>
internal sealed class StatusPage(AdminContext context, Fleet fleet, RecentActivity recent, Lookup lookup, RingSimulator simulator)
{
    /// <summary>Only this program's own script and style are allowed, no framing, and no form targets elsewhere.</summary>
    public static string ContentSecurityPolicy { get; } =
        $"default-src 'none'; style-src {PageAsset.Style.Source}; script-src {PageAsset.Script.Source}; img-src 'self'; connect-src 'self'; "
        + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

    public byte[] Render(IQueryCollection query)
    {
        FleetView view = fleet.Snapshot();
        DateTimeOffset now = context.Time.GetUtcNow();
        (double requests, IReadOnlyDictionary<string, double> redirects) = recent.PerSecond(view);
        string q = First("q"), add = First("add"), remove = First("remove");
        return Render(new PageData(context, view, now)
        {
            RequestRate = requests,
            RedirectRates = redirects,
            Warnings = Admin.Warnings.Of(context, view, recent, now),
            Query = q,
            Found = q.Length > 0 ? lookup.Find(q) : null,
            Add = add,
            Remove = remove,
            Simulated = add.Length + remove.Length > 0 ? simulator.Run(add, remove) : null,
        });

        string First(string name) => query[name] is [{ } first, ..] ? first.Trim() : "";
    }

    private static byte[] Render(PageData data)
    {
        BuildInfo build = data.Context.Build;
        int urgent = data.Count(WarningEntry.Critical) + data.Count(WarningEntry.Warning);
        var html = new Html();
        html.Add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.Add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
        html.Add($"<title>{(urgent == 0 ? "" : $"({urgent}) ")}DynamicSharding</title>\n<link rel=\"icon\" href=\"icon.svg\" type=\"image/svg+xml\">\n<style>");
        html.AddAsset(PageAsset.Style);
        html.Add("</style>\n</head>\n<body>\n");
        SummarySection.Write(html, data);
        html.Add("<main>\n");
        WarningsSection.Write(html, data);
        GatewaysSection.Write(html, data);
        LookupSection.Write(html, data);
        SimulateSection.Write(html, data);
        HistorySection.Write(html, data);
        RejectedSection.Write(html, data);
        CleanupSection.Write(html, data);
        SettingsSection.Write(html, data);
        html.Add($"</main>\n<footer>\n<p>DynamicSharding {build.Version}, revision <code>{build.Revision[..Math.Min(12, build.Revision.Length)]}</code>, {build.Runtime}.</p>\n");
        html.Add("<nav aria-label=\"Machine-readable\"><a href=\"metrics\">metrics</a> <a href=\"api/v1/status\">status</a> ");
        html.Add("<a href=\"api/v1/ring\">ring</a> <a href=\"api/v1/history\">history</a> <a href=\"api/v1/sd\">targets</a></nav>\n</footer>\n<script>");
        html.AddAsset(PageAsset.Script);
        html.Add("</script>\n</body>\n</html>\n");
        return html.ToBytes();
    }
}

/// <summary>Everything that one rendering shows: a snapshot of the server, and the results of the forms.</summary>
internal sealed record PageData(AdminContext Context, FleetView Fleet, DateTimeOffset Now)
{
    private readonly Dictionary<string, int> _positions = Fleet.Gateways
        .Select(static (gateway, position) => KeyValuePair.Create(gateway.Status.Address, position))
        .ToDictionary(StringComparer.Ordinal);

    public ServerOptions Options { get; } = Context.Options();

    public required double RequestRate { get; init; }

    public required IReadOnlyDictionary<string, double> RedirectRates { get; init; }

    public required IReadOnlyList<WarningEntry> Warnings { get; init; }

    /// <summary>The lookup form's input as typed; empty without one.</summary>
    public required string Query { get; init; }

    public required ApiResult<LookupResponse>? Found { get; init; }

    public required string Add { get; init; }

    public required string Remove { get; init; }

    public required ApiResult<SimulateResponse>? Simulated { get; init; }

    /// <summary>Colors follow the order of all known gateways.</summary>
    public int ColorOf(string address) => _positions.GetValueOrDefault(address) % RingPicture.Colors;

    public int Count(string severity) => Warnings.Count(warning => warning.Severity == severity);
}
