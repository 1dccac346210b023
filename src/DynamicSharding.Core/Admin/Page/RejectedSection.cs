using DynamicSharding.Config;
using DynamicSharding.Server;

namespace DynamicSharding.Admin.Page;

/// <summary>Whose requests are rejected: the most frequent reasons and peers of the last ten minutes.</summary>
internal static class RejectedSection
{
    public static void Write(Html html, PageData data)
    {
        TopRejects top = TopRejects.Of(data.Context.Counters, data.Context.Time);
        html.BeginSection("rejected", "Rejected requests");
        if (top.Reasons.Count == 0)
        {
            html.Add("<p>None in the last ten minutes.</p>\n");
        }
        else
        {
            html.BeginTable("Reasons, last ten minutes", "Reason", "#Requests");
            foreach ((string reason, long count) in top.Reasons)
            {
                html.BeginRow();
                html.Add($"<code>{reason}</code></th>");
                html.Number("Requests", DisplayText.Count(count));
                html.Add("</tr>\n");
            }

            html.EndTable();
            html.BeginTable("Peers, last ten minutes", "Peer", "#Requests");
            foreach ((string peer, long count) in top.Peers)
            {
                html.BeginRow();
                html.Address(peer);
                html.Add("</th>");
                html.Number("Requests", (top.AreAtLeast ? "at least " : "") + DisplayText.Count(count));
                html.Add("</tr>\n");
            }

            html.EndTable();
            if (data.Options.ProxyProtocol == ProxyProtocol.Off) html.Add("<p class=\"quiet\">Behind a proxy, all clients appear under the proxy's address unless proxy_protocol is on.</p>\n");
        }

        html.EndSection();
    }
}
