using DynamicSharding.Cleanup;

namespace DynamicSharding.Admin.Page;

/// <summary>Stale copies now, the last pass, what was left and why.</summary>
internal static class CleanupSection
{
    private const int MaxShown = 15;

    public static void Write(Html html, PageData data)
    {
        CleanupView view = data.Context.Cleanup();
        if (!view.Enabled) return;
        html.BeginSection("cleanup", "Cleanup");
        WriteState(html, view);
        if (view.Last is { } last) WritePass(html, data, last);
        html.Add("<p class=\"quiet\">All of it: <a href=\"api/v1/cleanup\">cleanup</a>, <a href=\"api/v1/groups\">groups</a>.</p>\n");
        html.EndSection();
    }

    private static void WriteState(Html html, CleanupView view)
    {
        html.Add("<p>");
        if (view.DryRun) html.Add("Dry run: nothing is deleted. ");
        if (view.IsRunning) html.Add("A pass is running.");
        else if (view.Waiting is { } waiting) html.Prose($"No pass now: {waiting}.");
        else if (view.HoldsLease == false) html.Prose($"Another instance cleans up: {view.LeaseHolder ?? "not known yet"}.");
        else html.Add("Waiting for the next pass.");
        html.Add("</p>\n");
    }

    private static void WritePass(Html html, PageData data, CleanupReport last)
    {
        html.Add("<dl class=\"facts\">\n<div><dt>Last pass</dt><dd>");
        html.Time(last.StartedAt, $"{DisplayText.Age(data.Now - last.StartedAt)} ago");
        html.Add($"</dd></div>\n<div><dt>Groups</dt><dd>{DisplayText.Count(last.Groups)}</dd></div>\n");
        html.Add($"<div><dt>Not on their owner</dt><dd>{DisplayText.Count(last.Misplaced)}</dd></div>\n");
        html.Add($"<div><dt>Stale copies now</dt><dd>{DisplayText.Count(last.Stale)}</dd></div>\n");
        html.Add($"<div><dt>{(last.DryRun ? "Would be deleted" : "Deleted")}</dt><dd>{DisplayText.Count(last.Deleted.Sum())}</dd></div>\n</dl>\n");
        CleanupGateway[] unread = [.. last.Gateways.Where(static gateway => gateway.Error is not null)];
        foreach (CleanupGateway gateway in unread.Take(MaxShown))
        {
            html.Add("<p class=\"warned\">");
            html.Prose(gateway.InRing ? gateway.Error! : $"{gateway.Error} (not in the ring: only what depends on it is left)");
            html.Add("</p>\n");
        }

        if (last.LeftCopies.IsEmpty) return;
        html.BeginTable("Copies that were left", "Group", "Gateway", "Owner", "Left because");
        foreach (LeftCopy copy in last.LeftCopies.Take(MaxShown))
        {
            html.BeginRow();
            html.Add($"<code>{GroupPath.Describe(copy.Labels)}</code></th>");
            html.BeginCell("Gateway");
            html.Address(copy.Gateway);
            html.EndCell();
            html.BeginCell("Owner");
            html.Address(copy.Owner ?? "none");
            html.EndCell();
            html.BeginCell("Left because");
            html.Prose(LeftReasons.Sentence(copy.Reason));
            html.EndCell();
            html.Add("</tr>\n");
        }

        html.EndTable();
        long left = last.Left.Sum();
        if (left > MaxShown) html.Add($"<p class=\"quiet\">and {DisplayText.Count(left - MaxShown)} more.</p>\n");
    }
}
