namespace DynamicSharding.Admin.Page;

/// <summary>What a change of the members would move, before anybody makes it.</summary>
internal static class SimulateSection
{
    public static void Write(Html html, PageData data)
    {
        html.Add("<section aria-labelledby=\"whatif-title\">\n<h2 id=\"whatif-title\">What if a gateway came or went?</h2>\n<form method=\"get\" id=\"whatif\">\n");
        if (data.Question.Length > 0) html.Add($"<input type=\"hidden\" name=\"q\" value=\"{data.Question}\">\n");
        html.Add("<div class=\"row\"><div class=\"field\"><label for=\"add\">Add</label>");
        html.Add($"<input id=\"add\" name=\"add\" type=\"text\" value=\"{data.Add}\" placeholder=\"10.0.0.4:9091\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"></div>\n");
        html.Add("<div class=\"field\"><label for=\"remove\">Remove</label>");
        html.Add($"<input id=\"remove\" name=\"remove\" type=\"text\" value=\"{data.Remove}\" list=\"members\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"></div>\n");
        html.Add("<button>Compare</button></div>\n<datalist id=\"members\">");
        foreach (FleetGateway gateway in data.Fleet.Gateways.Where(static g => g.InRing)) html.Add($"<option value=\"{gateway.Status.Address}\"></option>");
        html.Add("</datalist>\n</form>\n<div id=\"simulated\" data-live role=\"status\">\n");
        if (data.Simulated is { } answer) WriteResult(html, answer);
        html.Add("</div>\n</section>\n");
    }

    private static void WriteResult(Html html, ApiResult<SimulateResponse> answer)
    {
        if (answer.Found is not { } after)
        {
            html.Add($"<p class=\"problem\">{answer.Error}</p>\n");
            return;
        }

        html.Add($"<p><strong>{DisplayText.Percent(after.MovedRatio)}</strong> of the groups would move. Nothing has been changed.</p>\n");
        html.Add("<table role=\"table\">\n<caption class=\"unseen\">Shares before and after</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
        html.Add("<th role=\"columnheader\" scope=\"col\">Gateway</th><th role=\"columnheader\" scope=\"col\" class=\"number\">Share now</th>");
        html.Add("<th role=\"columnheader\" scope=\"col\" class=\"number\">Then</th></tr></thead>\n<tbody role=\"rowgroup\">\n");
        foreach (SimulatedGateway gateway in after.Gateways)
        {
            html.Add($"<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><code>{gateway.Address}</code></th>");
            html.Add($"<td role=\"cell\" data-label=\"Share now\" class=\"number\">{Share(gateway.OwnershipBefore)}</td>");
            html.Add($"<td role=\"cell\" data-label=\"Then\" class=\"number\">{Share(gateway.OwnershipAfter)}</td></tr>\n");
        }

        html.Add("</tbody></table>\n");
    }

    private static string Share(double? ratio) => ratio is { } share ? DisplayText.Percent(share) : "none";
}
