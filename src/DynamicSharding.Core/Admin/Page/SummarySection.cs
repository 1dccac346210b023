using DynamicSharding.Config;

namespace DynamicSharding.Admin.Page;

/// <summary>How this instance is, in one look.</summary>
internal static class SummarySection
{
    public static void Write(Html html, PageData data)
    {
        AdminContext context = data.Context;
        html.Add("<header id=\"summary\" data-live>\n<div class=\"title\"><h1>DynamicSharding</h1>\n");
        if (context.Readiness.IsReady) html.Add("<p class=\"state good\">Ready</p>\n");
        else html.Add($"<p class=\"state bad\">Not ready: {context.Readiness.Reason}</p>\n");
        WriteWarned(html, data);
        html.Add($"<p class=\"quiet\">{Environment.MachineName}, pushes on <code>{data.Options.HttpListenAddr.ToString()}</code></p></div>\n<dl class=\"facts\">\n");
        int members = data.Fleet.Ring?.Members.Length ?? 0;
        WriteRow(html, "Gateways in the ring", $"{members} of {data.Fleet.Gateways.Length}", warned: members < data.Fleet.Gateways.Length);
        html.Add("<div><dt>Ring fingerprint</dt><dd>");
        if (data.Fleet.Ring is { } ring) html.Add($"<code class=\"whole\">{ring.Fingerprint}</code>");
        else html.Add("none");
        html.Add("</dd></div>\n");
        WriteRow(html, "Requests per second", DisplayText.Rate(data.RequestRate));
        WriteRow(html, "Open connections", DisplayText.Count(context.Counters.Open));
        WriteRow(html, "Discovery", Discovery(data), warned: data.Fleet.Membership.Discovery.LastError is not null);
        ReloadStatus reload = context.ReloadStatus();
        string applied = $"applied {DisplayText.Age(data.Now - reload.LastSuccess)} ago";
        WriteRow(html, "Configuration", reload.LastSuccessful ? applied : "reload failed; last " + applied, warned: !reload.LastSuccessful);
        WriteRow(html, "Running for", DisplayText.Age(context.Time.GetElapsedTime(context.StartedTimestamp)));
        html.Add("</dl>\n</header>\n");
    }

    /// <summary>Ready is said of this instance; that all is well would be said of the fleet, and may be wrong.</summary>
    private static void WriteWarned(Html html, PageData data)
    {
        int critical = data.Count(WarningEntry.Critical);
        int warnings = data.Count(WarningEntry.Warning);
        if (critical > 0) html.Add($"<a class=\"state bad\" href=\"#warnings\">{critical} critical</a>\n");
        if (warnings > 0) html.Add($"<a class=\"state warned\" href=\"#warnings\">{DisplayText.Number(warnings, "warning")}</a>\n");
    }

    private static void WriteRow(Html html, string name, string value, bool warned = false)
    {
        html.Add($"<div><dt>{name}</dt>");
        if (warned) html.Add("<dd class=\"warned\">");
        else html.Add("<dd>");
        html.Add($"{value}</dd></div>\n");
    }

    private static string Discovery(PageData data)
    {
        var discovery = data.Fleet.Membership.Discovery;
        if (discovery.Source != DiscoveryKind.Consul) return data.Options.Pushgateway.HealthCheck.Enabled ? "list, own checks" : "list, not checked";
        string answered = discovery.LastGoodAnswer is { } last ? $"answered {DisplayText.Age(data.Now - last)} ago" : "no answer yet";
        return discovery.LastError is null ? $"Consul, {answered}" : $"Consul fails, {answered}";
    }
}
