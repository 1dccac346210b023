using System.Security.Cryptography;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Logging;
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
            DiscoveryKind source = data.Fleet.Membership.Discovery.Source;
            if (source.IsList()) html.Add($"<p>No gateways are known. The list of <code>discovery: {source.Name()}</code> must name them.</p>\n");
            else html.Add("<p>No gateways are known. List them under <code>pushgateway.servers</code> in the configuration file, or use Consul.</p>\n");
        }
        else
        {
            html.Add("<div class=\"fleet\">\n");
            RingPicture.Write(html, data);
            html.BeginTable("Known gateways", "Gateway", "State", "Reason", "Share of groups", "#Redirects/s");
            foreach (FleetGateway gateway in data.Fleet.Gateways.OrderBy(static g => Urgency(g.Status))) WriteRow(html, data, gateway);
            html.EndTable();
            html.Add("</div>\n");
            WriteDrift(html, data);
        }

        html.EndSection();
    }

    /// <summary>What needs attention is read first; the order is otherwise that of the addresses.</summary>
    private static int Urgency(GatewayStatus status) => status.State switch
    {
        GatewayState.Held => 0,
        GatewayState.Leaving => 1,
        GatewayState.Out when !status.IsBeingChecked => 2,
        GatewayState.Refused => 3,
        GatewayState.Member when status.Overloaded => 4,
        GatewayState.Draining => 5,
        GatewayState.Out or GatewayState.Joining => 6,
        _ => 7,
    };

    /// <summary>What the file lists against what is in the ring.</summary>
    private static void WriteDrift(Html html, PageData data)
    {
        HashSet<string> listed = [.. data.Options.Pushgateway.Servers];
        string[] ring = [.. data.Fleet.Gateways.Where(static g => g.InRing).Select(static g => g.Status.Address)];
        string[] missing = [.. listed.Except(ring).Order(StringComparer.Ordinal)];
        string[] extra = [.. ring.Where(address => !listed.Contains(address))];
        html.Add("<p id=\"drift\" class=\"quiet\">");
        if (listed.Count == 0) html.Add("The active configuration lists no gateways: those in the ring come from discovery.");
        else if (missing.Length + extra.Length == 0) html.Add("The gateways in the ring are those that the active configuration lists.");
        else html.Add($"The active configuration lists {DisplayText.Number(listed.Count, "gateway")}.");
        if (listed.Count > 0 && missing.Length > 0) WriteList(html, " Listed, but not in the ring: ", missing);
        if (listed.Count > 0 && extra.Length > 0) WriteList(html, " In the ring, but not listed: ", extra);
        if (data.Context.ConfigFile().EditedAt is { } edited) html.Add($" The file may list others: it was edited at {DisplayText.Time(edited)}, and is not reloaded yet.");
        html.Add("</p>\n");
    }

    private static void WriteList(Html html, string what, string[] addresses)
    {
        html.Add($"{what}");
        html.Prose(LogValue.List(addresses) + ".");
    }

    private static void WriteRow(Html html, PageData data, FleetGateway gateway)
    {
        GatewayStatus status = gateway.Status;
        string state = GatewayStates.Label(status.State);
        html.BeginRow();
        if (gateway.InRing) html.Add($"<span class=\"swatch c{data.ColorOf(status.Address)}\"></span>");
        html.Address(status.Address);
        html.Add("</th>\n");
        html.BeginCell("State");
        if (status.IsBeingChecked) html.Add("<span class=\"state joining\">being checked</span>");
        else html.Add($"<span class=\"state {state}\">{state}</span>");
        if (status.Overloaded) html.Add(" <span class=\"state held\">overloaded</span>");
        html.Add(" ");
        html.Time(status.Since, $"for {DisplayText.Age(data.Now - status.Since)}");
        html.EndCell();
        html.BeginCell("Reason");
        html.Add("<div class=\"why\">");
        html.Prose(Short(status.Reason));
        if (status.CheckOutput is { } output && !status.Reason.Contains(output, StringComparison.Ordinal)) WriteOutput(html, status, Short(output));
        html.Add("</div>");
        html.EndCell();
        html.BeginCell("Share");
        if (gateway.InRing) WriteShare(html, data, gateway);
        else html.Add("<span class=\"quiet\">none</span>");
        html.EndCell();
        html.Number("Redirects/s", DisplayText.Rate(data.RedirectRates.GetValueOrDefault(status.Address)));
        html.Add("</tr>\n");
    }

    /// <summary>That of a healthy gateway says nothing new, and is folded.</summary>
    private static void WriteOutput(Html html, GatewayStatus status, string output)
    {
        if (status is not { State: GatewayState.Member, Overloaded: false })
        {
            html.Add("<span class=\"output\">");
            html.Prose(output);
            html.Add("</span>");
            return;
        }

        // The script opens again what was open, by its id, which must stay the gateway's when rows come and go.
        string id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(status.Address)), 0, 8);
        html.Add($"<details class=\"output\" id=\"check-{id}\"><summary>check output</summary>");
        html.Prose(output);
        html.Add("</details>");
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
