using DynamicSharding.Config;

namespace DynamicSharding.Admin.Page;

/// <summary>The state of this instance at a glance.</summary>
internal static class SummarySection
{
    public static void Write(Html html, PageData data)
    {
        AdminContext context = data.Context;
        html.Add("<header id=\"summary\" data-live>\n<div class=\"title\"><h1>DynamicSharding</h1>\n");

        // Readiness is about this instance only; the counts beside it are about the fleet.
        if (context.Readiness.IsReady) html.Add("<p class=\"state good\">Ready</p>\n");
        else html.Add($"<p class=\"state bad\">Not ready: {context.Readiness.Reason}</p>\n");
        int critical = data.Count(WarningEntry.Critical);
        int warnings = data.Count(WarningEntry.Warning);
        if (critical > 0) html.Add($"<a class=\"state bad\" href=\"#warnings\">{critical} critical</a>\n");
        if (warnings > 0) html.Add($"<a class=\"state warned\" href=\"#warnings\">{DisplayText.Number(warnings, "warning")}</a>\n");
        html.Add($"<p class=\"quiet\">{Environment.MachineName}, pushes on <code class=\"address\">{(data.Options.HttpListenAddr ?? data.Options.Listeners.First(l => l.Address is not null && l.Key != "admin_listen_addr").Address)!.ToString()}</code></p></div>\n<dl class=\"facts\">\n");

        int members = data.Fleet.Ring?.Members.Length ?? 0;
        WriteRow("Gateways in the ring", $"{members} of {data.Fleet.Gateways.Length}", isWarning: members < data.Fleet.Gateways.Count(static g => g.Weight > 0));
        html.Add("<div><dt>Ring fingerprint</dt><dd>");
        if (data.Fleet.Ring is { } ring) html.Add($"<code class=\"whole\">{ring.Fingerprint}</code></dd></div>\n");
        else html.Add("none</dd></div>\n");
        WriteRow("Requests per second", DisplayText.Rate(data.RequestRate));
        WriteRow("Open connections", DisplayText.Count(context.Counters.Open));
        WriteRow("Discovery", Discovery(data), isWarning: data.Fleet.Membership.Discovery.LastError is not null);
        ReloadStatus reload = context.ReloadStatus();
        if (reload.LastSuccessful) html.Add("<div><dt>Configuration</dt><dd>");
        else html.Add("<div><dt>Configuration</dt><dd class=\"warned\">reload failed; last ");
        html.Time(reload.LastSuccess, $"applied {DisplayText.Age(data.Now - reload.LastSuccess)} ago");
        html.Add("</dd></div>\n");
        WriteRow("Uptime", DisplayText.Age(context.Time.GetElapsedTime(context.StartedTimestamp)));
        html.Add("</dl>\n</header>\n");

        void WriteRow(string name, string value, bool isWarning = false)
        {
            if (isWarning) html.Add($"<div><dt>{name}</dt><dd class=\"warned\">{value}</dd></div>\n");
            else html.Add($"<div><dt>{name}</dt><dd>{value}</dd></div>\n");
        }
    }

    private static string Discovery(PageData data)
    {
        var discovery = data.Fleet.Membership.Discovery;
        if (discovery.Source == DiscoveryKind.Static)
            return data.Options.Pushgateway.HealthCheck.Enabled ? "static list, health checks on" : "static list, health checks off";
        string last = discovery.LastGoodAnswer is { } at ? $"last response {DisplayText.Age(data.Now - at)} ago" : "no response yet";
        string source = discovery.Source == DiscoveryKind.Consul ? "Consul" : discovery.Source.Name();
        return discovery.LastError is null ? $"{source}, {last}" : $"{source} failing, {last}";
    }
}
