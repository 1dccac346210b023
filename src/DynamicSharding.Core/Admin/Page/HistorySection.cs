using DynamicSharding.Membership;

namespace DynamicSharding.Admin.Page;

/// <summary>The last ring changes and how much each of them moved.</summary>
internal static class HistorySection
{
    private const int MaxShown = 15;

    public static void Write(Html html, PageData data)
    {
        MembershipView view = data.Fleet.Membership;
        html.BeginSection("history", "Ring changes");
        if (view.History.IsEmpty)
        {
            html.Add("<p>There is no ring yet.</p>\n");
        }
        else
        {
            html.BeginTable("Newest first", "When", "Reason", "Gateways", "#Groups moved", "Fingerprint");
            foreach (RingChange change in view.History.Take(MaxShown)) WriteRow(html, data, change);
            html.EndTable();
            if (view.History.Length > MaxShown) html.Add("<p class=\"quiet\">Older changes: <a href=\"api/v1/history\">history</a>.</p>\n");
        }

        html.EndSection();
    }

    private static void WriteRow(Html html, PageData data, RingChange change)
    {
        bool isFirst = change.Before.IsEmpty;
        html.BeginRow();
        html.Time(change.At, $"{DisplayText.Age(data.Now - change.At)} ago");
        html.Add("</th>\n");
        html.BeginCell("Reason");
        html.Add("<span>");
        html.Prose(change.Reason);
        html.Add("</span>");
        html.EndCell();
        html.BeginCell("Gateways");
        if (isFirst) html.Add($"{change.After.Length} at startup");
        else html.Add($"{change.Before.Length} to {change.After.Length}");
        html.EndCell();
        html.Number("Moved", isFirst ? "none" : DisplayText.Percent(change.MovedRatio));
        html.Add($"<td role=\"cell\" data-label=\"Fingerprint\"><code>{change.Fingerprint}</code></td></tr>\n");
    }
}
