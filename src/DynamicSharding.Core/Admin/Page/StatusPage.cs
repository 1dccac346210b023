using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Admin.Page;

/// <summary>
/// The page at <c>/</c>: whole without scripts, its forms ask by GET. The script only fetches the same page again and puts its parts in
/// place, so that there is one way of rendering.
/// </summary>
internal sealed class StatusPage(AdminContext context, Fleet fleet, TrafficRates rates, LastHourCounts lastHour, RingSimulator whatIf)
{
    private readonly Lookup _lookup = new(context);

    /// <summary>Nothing but this program's own two texts runs or styles; nothing is framed, and forms lead nowhere else.</summary>
    public static string ContentSecurityPolicy { get; } =
        $"default-src 'none'; style-src {PageAsset.Style.Source}; script-src {PageAsset.Script.Source}; img-src 'self'; connect-src 'self'; "
        + "form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

    public byte[] Render(IQueryCollection query)
    {
        FleetView view = fleet.Snapshot();
        DateTimeOffset now = context.Time.GetUtcNow();
        (double requests, IReadOnlyDictionary<string, double> redirects) = rates.Snapshot(view);
        string question = First(query, "q");
        string add = First(query, "add");
        string remove = First(query, "remove");
        var data = new PageData(context, view, now)
        {
            RequestRate = requests,
            RedirectRates = redirects,
            Warnings = Admin.Warnings.Of(context, view, lastHour, now),
            Question = question,
            Found = question.Length > 0 ? _lookup.Find(question) : null,
            Add = add,
            Remove = remove,
            Simulated = add.Length + remove.Length > 0 ? whatIf.Run(add, remove) : null,
        };
        return Render(data);
    }

    private static string First(IQueryCollection query, string name) => query[name] is [{ } first, ..] ? first.Trim() : "";

    private static byte[] Render(PageData data)
    {
        var html = new Html();
        html.Add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.Add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
        html.Add($"<title>{Title(data)}</title>\n<link rel=\"icon\" href=\"icon.svg\" type=\"image/svg+xml\">\n<style>");
        html.AddAsset(PageAsset.Style);
        html.Add("</style>\n</head>\n<body>\n");
        SummarySection.Write(html, data);
        html.Add("<main>\n");
        WarningsSection.Write(html, data);
        GatewaysSection.Write(html, data);
        LookupSection.Write(html, data);
        SimulateSection.Write(html, data);
        HistorySection.Write(html, data);
        SettingsSection.Write(html, data);
        html.Add("</main>\n");
        Footer(html, data);
        html.Add("<script>");
        html.AddAsset(PageAsset.Script);
        html.Add("</script>\n</body>\n</html>\n");
        return html.ToBytes();
    }

    private static string Title(PageData data)
    {
        int urgent = data.Count(WarningEntry.Critical) + data.Count(WarningEntry.Warning);
        return urgent == 0 ? "DynamicSharding" : $"({urgent}) DynamicSharding";
    }

    private static void Footer(Html html, PageData data)
    {
        html.Add($"<footer>\n<p>DynamicSharding {data.Context.Build.Version}, revision <code>{Short(data.Context.Build.Revision)}</code>, {data.Context.Build.Runtime}.</p>\n");
        html.Add("<nav aria-label=\"The same for programs\"><a href=\"metrics\">metrics</a> <a href=\"api/v1/status\">status</a> ");
        html.Add("<a href=\"api/v1/ring\">ring</a> <a href=\"api/v1/history\">history</a></nav>\n</footer>\n");
    }

    private static string Short(string revision) => revision.Length > 12 ? revision[..12] : revision;
}
