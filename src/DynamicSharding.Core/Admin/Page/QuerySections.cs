namespace DynamicSharding.Admin.Page;

/// <summary>Finds the owner of a group by its path, URL or labels.</summary>
internal static class LookupSection
{
    public static void Write(Html html, PageData data)
    {
        html.Add("<section aria-labelledby=\"lookup-title\">\n<h2 id=\"lookup-title\">Who owns a group?</h2>\n<form method=\"get\" id=\"lookup\">\n");
        html.Add("<label for=\"q\">Path, URL or labels of a push</label>\n<div class=\"row\">");
        html.Add($"<input id=\"q\" name=\"q\" type=\"text\" value=\"{data.Query}\" placeholder=\"job=demo instance=a\" ");
        html.Add("autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"> <button>Look up</button></div>\n");
        if (data.Add.Length > 0) html.Add($"<input type=\"hidden\" name=\"add\" value=\"{data.Add}\">\n");
        if (data.Remove.Length > 0) html.Add($"<input type=\"hidden\" name=\"remove\" value=\"{data.Remove}\">\n");
        html.Add("</form>\n<div id=\"found\" data-live role=\"status\">\n");
        if (data.Found is { Found: { } found }) WriteResult(html, data, found);
        else if (data.Found is { } failed) html.Add($"<p class=\"problem\">{failed.Error}</p>\n");
        html.Add("</div>\n");
        html.EndSection();
    }

    private static void WriteResult(Html html, PageData data, LookupResponse found)
    {
        // The API finds an owner or fails.
        string owner = found.Owner!;
        html.Add("<dl class=\"result\">\n");
        html.Add($"<div><dt>Owner</dt><dd><span class=\"swatch c{data.ColorOf(owner)}\"></span><code class=\"address\">{owner}</code></dd></div>\n");
        html.Add("<div><dt>Runner-up</dt><dd>");
        if (found.RunnerUp is { } next) html.Add($"<span class=\"swatch c{data.ColorOf(next)}\"></span><code class=\"address\">{next}</code> <span class=\"quiet\">if the owner leaves</span>");
        else html.Add("none: the ring has only one gateway");
        html.Add($"</dd></div>\n<div><dt>Key</dt><dd><code>{found.GroupKey}</code></dd></div>\n");
        html.Add($"<div><dt>Hash</dt><dd><code>{found.Hash!.Value.ToString("x8", null)}</code></dd></div>\n");
        html.Add($"<div><dt>Push to the owner</dt><dd><code class=\"whole\">{found.Curl}</code>\n<p class=\"quiet\">Replaces values of the current copy, the one on ");
        html.Address(owner);
        html.Add($".</p></dd></div>\n<div><dt>Delete the current copy</dt><dd><code class=\"whole\">curl -X DELETE {ShellText.Quote(found.Location!)}</code>\n");
        html.Add("<p class=\"quiet\">Deletes the group's newest values, on ");
        html.Address(owner);
        html.Add(". Stale copies are on other gateways, and this command touches none of them; dynamic-sharding groups delete --stale finds and deletes those only.</p></dd></div>\n</dl>\n");
    }
}

/// <summary>Shows what a membership change would move before anyone makes it.</summary>
internal static class SimulateSection
{
    public static void Write(Html html, PageData data)
    {
        html.Add("<section aria-labelledby=\"simulate-title\">\n<h2 id=\"simulate-title\">What if a gateway joined or left?</h2>\n<form method=\"get\" id=\"simulate\">\n");
        if (data.Query.Length > 0) html.Add($"<input type=\"hidden\" name=\"q\" value=\"{data.Query}\">\n");
        html.Add("<div class=\"row\"><div class=\"field\"><label for=\"add\">Add</label>");
        html.Add($"<input id=\"add\" name=\"add\" type=\"text\" value=\"{data.Add}\" placeholder=\"10.0.0.4:9091, or 10.0.0.4:9091=2 for weight 2\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"></div>\n");
        html.Add("<div class=\"field\"><label for=\"remove\">Remove</label>");
        html.Add($"<input id=\"remove\" name=\"remove\" type=\"text\" value=\"{data.Remove}\" list=\"members\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"></div>\n");
        html.Add("<button>Compare</button></div>\n<datalist id=\"members\">");
        foreach (FleetGateway gateway in data.Fleet.Gateways.Where(static g => g.InRing)) html.Add($"<option value=\"{gateway.Status.Address}\"></option>");
        html.Add("</datalist>\n</form>\n<div id=\"simulated\" data-live role=\"status\">\n");
        if (data.Simulated is { Found: { } found }) WriteResult(html, found);
        else if (data.Simulated is { } failed) html.Add($"<p class=\"problem\">{failed.Error}</p>\n");
        html.Add("</div>\n");
        html.EndSection();
    }

    private static void WriteResult(Html html, SimulateResponse after)
    {
        html.Add($"<p><strong>{DisplayText.Percent(after.MovedRatio)}</strong> of the groups would move. Nothing was changed.</p>\n");
        html.BeginTable("Shares before and after", "Gateway", "#Share now", "#Share after");
        foreach (SimulatedGateway gateway in after.Gateways)
        {
            html.BeginRow();
            html.Address(gateway.Address);
            html.Add($"{Weights(gateway)}</th>");
            html.Number("Share now", Share(gateway.OwnershipBefore));
            html.Number("Share after", Share(gateway.OwnershipAfter));
            html.Add("</tr>\n");
        }

        html.EndTable();
    }

    /// <summary>Nothing while everyone has 1.</summary>
    private static string Weights(SimulatedGateway gateway) => (gateway.WeightBefore, gateway.WeightAfter) switch
    {
        (null or 1, null or 1) => "",
        ({ } before, { } after) when before != after => $" weight {before} to {after}",
        var (before, after) => $" weight {after ?? before}",
    };

    private static string Share(double? ratio) => ratio is { } share ? DisplayText.Percent(share) : "none";
}
