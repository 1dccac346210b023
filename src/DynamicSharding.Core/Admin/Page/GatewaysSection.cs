using DynamicSharding.Membership;

namespace DynamicSharding.Admin.Page;

/// <summary>Every known gateway: where it stands and why, and what it owns.</summary>
internal static class GatewaysSection
{
    /// <summary>A check's answer may be a whole web page; the API has it all.</summary>
    private const int MaxOutput = 240;

    public static void Write(Html html, PageData data)
    {
        html.Add("<section id=\"gateways\" data-live aria-labelledby=\"gateways-title\">\n<h2 id=\"gateways-title\">Gateways</h2>\n");
        if (data.Fleet.Gateways.IsEmpty)
        {
            html.Add("<p>None is known. Gateways come from <code>pushgateway.servers</code> in the configuration file, or from Consul.</p>\n</section>\n");
            return;
        }

        html.Add("<div class=\"fleet\">\n");
        RingPicture.Write(html, data);
        html.Add("<table role=\"table\">\n<caption class=\"unseen\">Known gateways</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
        html.Add("<th role=\"columnheader\" scope=\"col\">Gateway</th><th role=\"columnheader\" scope=\"col\">State</th>");
        html.Add("<th role=\"columnheader\" scope=\"col\">Why</th>");
        html.Add("<th role=\"columnheader\" scope=\"col\">Share of groups</th><th role=\"columnheader\" scope=\"col\" class=\"number\">Redirects/s</th>");
        html.Add("</tr></thead>\n<tbody role=\"rowgroup\">\n");
        foreach (FleetGateway gateway in data.Fleet.Gateways) WriteRow(html, data, gateway);
        html.Add("</tbody></table>\n</div>\n</section>\n");
    }

    private static void WriteRow(Html html, PageData data, FleetGateway gateway)
    {
        GatewayStatus status = gateway.Status;
        string state = GatewayStates.Label(status.State);
        html.Add("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">");
        if (gateway.InRing) html.Add($"<span class=\"swatch c{data.ColorOf(status.Address)}\"></span>");
        html.Add($"<code>{status.Address}</code></th>\n<td role=\"cell\" data-label=\"State\"><span class=\"state {state}\">{state}</span>");
        if (status.Overloaded) html.Add(" <span class=\"state held\">overloaded</span>");
        html.Add($" <time datetime=\"{DisplayText.Machine(status.Since)}\" title=\"{DisplayText.Time(status.Since)}\">for {DisplayText.Age(data.Now - status.Since)}</time>");
        html.Add($"</td>\n<td role=\"cell\" data-label=\"Why\"><span class=\"why\">{Short(status.Reason)}");
        if (status.CheckOutput is { } output && !status.Reason.Contains(output, StringComparison.Ordinal))
            html.Add($"<span class=\"output\">{Short(output)}</span>");
        html.Add("</span></td>\n<td role=\"cell\" data-label=\"Share\">");
        WriteShare(html, data, gateway);
        string rate = DisplayText.Rate(data.RedirectRates.GetValueOrDefault(status.Address));
        html.Add($"</td>\n<td role=\"cell\" data-label=\"Redirects/s\" class=\"number\">{rate}</td></tr>\n");
    }

    /// <summary>A bar over twice the ideal share, with a mark at the ideal.</summary>
    private static void WriteShare(Html html, PageData data, FleetGateway gateway)
    {
        if (!gateway.InRing)
        {
            html.Add("<span class=\"quiet\">none</span>");
            return;
        }

        double ideal = 1.0 / Math.Max(1, data.Fleet.Ring?.Members.Length ?? 1);
        double width = Math.Min(100, gateway.Ownership / ideal * 50);
        html.Add($"<span class=\"share\">{DisplayText.Percent(gateway.Ownership)} <svg class=\"c{data.ColorOf(gateway.Status.Address)}\" ");
        html.Add($"viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"bar\" y=\"2\" width=\"{width}\" height=\"6\"/>");
        html.Add("<rect class=\"ideal\" x=\"49.5\" width=\"1\" height=\"10\"/></svg> ");
        html.Add($"<span class=\"quiet\">ideal {DisplayText.Percent(ideal)}</span></span>");
    }

    private static string Short(string text) => text.Length <= MaxOutput ? text : text[..MaxOutput] + "…";
}
