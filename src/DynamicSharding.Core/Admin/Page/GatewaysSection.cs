using DynamicSharding.Membership;

namespace DynamicSharding.Admin.Page;

/// <summary>Every known gateway: its state, the reason for it, and its share.</summary>
internal static class GatewaysSection
{
    /// <summary>The output of a check may be a whole web page; the API has all of it.</summary>
    private const int MaxOutput = 240;

    public static void Write(Html html, PageData data)
    {
        html.BeginSection("gateways", "Gateways");
        if (data.Fleet.Gateways.IsEmpty)
        {
            html.Add("<p>No gateways are known. List them under <code>pushgateway.servers</code> in the configuration file, or use Consul.</p>\n");
        }
        else
        {
            html.Add("<div class=\"fleet\">\n");
            RingPicture.Write(html, data);
            html.BeginTable("Known gateways", "Gateway", "State", "Reason", "Share of groups", "#Redirects/s");
            foreach (FleetGateway gateway in data.Fleet.Gateways) WriteRow(html, data, gateway);
            html.EndTable();
            html.Add("</div>\n");
        }

        html.EndSection();
    }

    private static void WriteRow(Html html, PageData data, FleetGateway gateway)
    {
        GatewayStatus status = gateway.Status;
        string state = GatewayStates.Label(status.State);
        html.BeginRow();
        if (gateway.InRing) html.Add($"<span class=\"swatch c{data.ColorOf(status.Address)}\"></span>");
        html.Add($"<code>{status.Address}</code></th>\n");
        html.BeginCell("State");
        html.Add($"<span class=\"state {state}\">{state}</span>");
        if (status.Overloaded) html.Add(" <span class=\"state held\">overloaded</span>");
        html.Add(" ");
        html.Time(status.Since, $"for {DisplayText.Age(data.Now - status.Since)}");
        html.EndCell();
        html.BeginCell("Reason");
        html.Add($"<span class=\"why\">{Short(status.Reason)}");
        if (status.CheckOutput is { } output && !status.Reason.Contains(output, StringComparison.Ordinal))
            html.Add($"<span class=\"output\">{Short(output)}</span>");
        html.Add("</span>");
        html.EndCell();
        html.BeginCell("Share");
        if (gateway.InRing) WriteShare(html, data, gateway);
        else html.Add("<span class=\"quiet\">none</span>");
        html.EndCell();
        html.Number("Redirects/s", DisplayText.Rate(data.RedirectRates.GetValueOrDefault(status.Address)));
        html.Add("</tr>\n");
    }

    /// <summary>A bar whose full width is twice the ideal share, with a mark at the ideal.</summary>
    private static void WriteShare(Html html, PageData data, FleetGateway gateway)
    {
        double ideal = (double)gateway.Weight / Math.Max(1, data.Fleet.Ring?.Weights.Sum() ?? 1);
        double width = Math.Min(100, gateway.Ownership / ideal * 50);
        html.Add($"<span class=\"share\">{DisplayText.Percent(gateway.Ownership)} <svg class=\"c{data.ColorOf(gateway.Status.Address)}\" ");
        html.Add($"viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"bar\" y=\"2\" width=\"{width}\" height=\"6\"/>");
        html.Add("<rect class=\"ideal\" x=\"49.5\" width=\"1\" height=\"10\"/></svg> ");
        html.Add($"<span class=\"quiet\">ideal {DisplayText.Percent(ideal)}");
        if (gateway.Weight != 1) html.Add($", weight {gateway.Weight}");
        html.Add("</span></span>");
    }

    private static string Short(string text) => text.Length <= MaxOutput ? text : text[..MaxOutput] + "…";
}
