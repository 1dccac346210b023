using DynamicSharding.Membership;

namespace DynamicSharding.Admin.Page;

/// <summary>The last changes of the ring and what each of them moved.</summary>
internal static class HistorySection
{
    private const int Shown = 15;

    public static void Write(Html html, PageData data)
    {
        MembershipView view = data.Fleet.Membership;
        html.Add("<section id=\"history\" data-live aria-labelledby=\"history-title\">\n<h2 id=\"history-title\">Changes of the ring</h2>\n");
        if (view.History.IsEmpty)
        {
            html.Add("<p>There has been no ring yet.</p>\n</section>\n");
            return;
        }

        html.Add("<table role=\"table\">\n<caption class=\"unseen\">Newest first</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
        html.Add("<th role=\"columnheader\" scope=\"col\">When</th><th role=\"columnheader\" scope=\"col\">Why</th>");
        html.Add("<th role=\"columnheader\" scope=\"col\">Gateways</th><th role=\"columnheader\" scope=\"col\" class=\"number\">Groups moved</th>");
        html.Add("<th role=\"columnheader\" scope=\"col\">Fingerprint</th></tr></thead>\n<tbody role=\"rowgroup\">\n");
        foreach (RingChange change in view.History.Take(Shown)) WriteRow(html, data, change);
        html.Add("</tbody></table>\n");
        if (view.History.Length > Shown) html.Add("<p class=\"quiet\">Older ones: <a href=\"api/v1/history\">history</a>.</p>\n");
        html.Add("</section>\n");
    }

    private static void WriteRow(Html html, PageData data, RingChange change)
    {
        html.Add($"<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><time datetime=\"{DisplayText.Machine(change.At)}\" title=\"{DisplayText.Time(change.At)}\">");
        html.Add($"{DisplayText.Age(data.Now - change.At)} ago</time></th>\n<td role=\"cell\" data-label=\"Why\">{change.Reason}</td>\n");
        html.Add("<td role=\"cell\" data-label=\"Gateways\">");
        if (change.Before.IsEmpty) html.Add($"{change.After.Length} at the start");
        else html.Add($"{change.Before.Length} to {change.After.Length}");
        string moved = change.Before.IsEmpty ? "none" : DisplayText.Percent(change.MovedRatio);
        html.Add($"</td>\n<td role=\"cell\" data-label=\"Moved\" class=\"number\">{moved}</td>\n");
        html.Add($"<td role=\"cell\" data-label=\"Fingerprint\"><code>{change.Fingerprint}</code></td></tr>\n");
    }
}
