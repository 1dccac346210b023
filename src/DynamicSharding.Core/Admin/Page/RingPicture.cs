using System.Globalization;
using System.Text;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Admin.Page;

/// <summary>
/// Two circles: the inner one shows how much of the ring each gateway owns, the outer one where. A ring has hundreds of points per gateway, more
/// than a screen can show, so the outer circle samples the owner at evenly spaced positions.
/// </summary>
internal static class RingPicture
{
    /// <summary>Colors in the style sheet; a larger fleet starts over.</summary>
    public const int Colors = 12;

    private const int Positions = 360;

    public static void Write(Html html, PageData data)
    {
        if (data.Fleet.Ring is not { } ring) return;
        html.Add("<figure>\n<svg class=\"ring\" viewBox=\"0 0 200 200\" role=\"img\" aria-labelledby=\"ring-title\">");
        html.Add($"<title id=\"ring-title\">The hash ring: {DisplayText.Number(ring.Members.Length, "gateway")}</title>");
        WriteShares(html, data);
        WriteArcs(html, data, ring);
        html.Add($"<text x=\"100\" y=\"102\" class=\"count\">{ring.Members.Length}</text>");
        html.Add($"<text x=\"100\" y=\"118\" class=\"unit\">{(ring.Members.Length == 1 ? "gateway" : "gateways")}</text></svg>\n");
        html.Add($"<figcaption>Inner circle: shares. Outer circle: owners at {Positions} positions of the hash space.</figcaption>\n</figure>\n");
    }

    private static void WriteShares(Html html, PageData data)
    {
        double start = 0;
        foreach (FleetGateway gateway in data.Fleet.Gateways.Where(static g => g.InRing))
        {
            // A thin gap separates neighbors.
            double length = Math.Max(0.5, (gateway.Ownership * 1000) - 2);
            html.Add($"<circle class=\"shares c{data.ColorOf(gateway.Status.Address)}\" cx=\"100\" cy=\"100\" r=\"66\" pathLength=\"1000\" ");
            html.Add($"transform=\"rotate(-90 100 100)\" stroke-dasharray=\"{length} 1000\" stroke-dashoffset=\"{-start}\">");
            html.Add($"<title>{gateway.Status.Address}: {DisplayText.Percent(gateway.Ownership)}</title></circle>");
            start += gateway.Ownership * 1000;
        }
    }

    private static void WriteArcs(Html html, PageData data, HashRing<Gateway> ring)
    {
        var owners = new string[Positions];
        for (int i = 0; i < Positions; i++) owners[i] = ring.Find((uint)((i + 0.5) / Positions * uint.MaxValue)).Address;
        foreach (string address in owners.Distinct())
        {
            html.Add($"<circle class=\"arcs c{data.ColorOf(address)}\" cx=\"100\" cy=\"100\" r=\"91\" pathLength=\"{Positions}\" ");
            html.Add($"transform=\"rotate(-90 100 100)\" stroke-dasharray=\"{Dashes(owners, address)}\"/>");
        }
    }

    /// <summary>Alternating lengths of dash and gap, clockwise from the top.</summary>
    private static string Dashes(string[] owners, string address)
    {
        var dashes = new StringBuilder();
        int run = 0;
        bool isOwned = true;
        foreach (string owner in owners)
        {
            if (owner == address != isOwned)
            {
                dashes.Append(CultureInfo.InvariantCulture, $"{run} ");
                run = 0;
                isOwned = !isOwned;
            }

            run++;
        }

        dashes.Append(CultureInfo.InvariantCulture, $"{run}");

        // SVG repeats a list of odd length, which would swap dashes and gaps.
        if (isOwned) dashes.Append(" 0");
        return dashes.ToString();
    }
}
