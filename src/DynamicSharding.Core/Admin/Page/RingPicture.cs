using System.Globalization;
using System.Text;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Admin.Page;

/// <summary>
/// The ring, drawn twice: inside how much each gateway owns, outside where. A ring has hundreds of points per gateway, far more than a
/// screen could show, so the outer one asks for the owner at evenly spaced places.
/// </summary>
internal static class RingPicture
{
    /// <summary>Colours that the style sheet has; a larger fleet begins anew.</summary>
    public const int Colors = 12;

    private const int Places = 360;

    public static void Write(Html html, PageData data)
    {
        if (data.Fleet.Ring is not { } ring) return;
        html.Add("<figure>\n<svg class=\"ring\" viewBox=\"0 0 200 200\" role=\"img\" aria-labelledby=\"ring-title\">");
        html.Add($"<title id=\"ring-title\">The hash ring: {DisplayText.Number(ring.Members.Length, "gateway")}</title>");
        WriteShares(html, data, ring);
        WriteArcs(html, data, ring);
        html.Add($"<text x=\"100\" y=\"102\" class=\"count\">{ring.Members.Length}</text>");
        html.Add($"<text x=\"100\" y=\"118\" class=\"unit\">{(ring.Members.Length == 1 ? "gateway" : "gateways")}</text></svg>\n");
        html.Add($"<figcaption>Inside: shares. Outside: arcs, at {Places} places of the hash space.</figcaption>\n</figure>\n");
    }

    private static void WriteShares(Html html, PageData data, HashRing<Gateway> ring)
    {
        double start = 0;
        foreach (FleetGateway gateway in data.Fleet.Gateways.Where(static g => g.InRing))
        {
            // A hair is left between two of them; the dash is at least that.
            double length = Math.Max(0.5, (gateway.Ownership * 1000) - 2);
            html.Add($"<circle class=\"shares c{data.ColorOf(gateway.Status.Address)}\" cx=\"100\" cy=\"100\" r=\"66\" pathLength=\"1000\" ");
            html.Add($"transform=\"rotate(-90 100 100)\" stroke-dasharray=\"{length} 1000\" stroke-dashoffset=\"{-start}\">");
            html.Add($"<title>{gateway.Status.Address}: {DisplayText.Percent(gateway.Ownership)}</title></circle>");
            start += gateway.Ownership * 1000;
        }
    }

    private static void WriteArcs(Html html, PageData data, HashRing<Gateway> ring)
    {
        var owners = new string[Places];
        for (int i = 0; i < Places; i++) owners[i] = ring.Find((uint)((i + 0.5) / Places * uint.MaxValue)).Address;
        foreach (string address in owners.Distinct())
        {
            html.Add($"<circle class=\"arcs c{data.ColorOf(address)}\" cx=\"100\" cy=\"100\" r=\"91\" pathLength=\"{Places}\" ");
            html.Add($"transform=\"rotate(-90 100 100)\" stroke-dasharray=\"{Dashes(owners, address)}\"/>");
        }
    }

    /// <summary>Lengths of dash and gap by turns, from the top on.</summary>
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

        // An odd list would be repeated with dash and gap exchanged.
        if (isOwned) dashes.Append(" 0");
        return dashes.ToString();
    }
}
