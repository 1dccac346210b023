namespace DynamicSharding.Admin.Page;

/// <summary>Who owns a group, for whoever has its path, its URL or its labels at hand.</summary>
internal static class LookupSection
{
    public static void Write(Html html, PageData data)
    {
        html.Add("<section aria-labelledby=\"lookup-title\">\n<h2 id=\"lookup-title\">Who owns a group?</h2>\n<form method=\"get\" id=\"lookup\">\n");
        html.Add("<label for=\"q\">Path, URL or labels of a push</label>\n<div class=\"row\">");
        html.Add($"<input id=\"q\" name=\"q\" type=\"text\" value=\"{data.Question}\" placeholder=\"job=demo instance=a\" ");
        html.Add("autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"> <button>Look up</button></div>\n");
        if (data.Add.Length > 0) html.Add($"<input type=\"hidden\" name=\"add\" value=\"{data.Add}\">\n");
        if (data.Remove.Length > 0) html.Add($"<input type=\"hidden\" name=\"remove\" value=\"{data.Remove}\">\n");
        html.Add("</form>\n<div id=\"found\" data-live role=\"status\">\n");
        if (data.Found is { } answer) WriteResult(html, data, answer);
        html.Add("</div>\n</section>\n");
    }

    private static void WriteResult(Html html, PageData data, ApiResult<LookupResponse> answer)
    {
        if (answer.Found is not { } found)
        {
            html.Add($"<p class=\"problem\">{answer.Error}</p>\n");
            return;
        }

        html.Add("<dl class=\"answer\">\n");
        html.Add($"<div><dt>Owner</dt><dd><span class=\"swatch c{data.ColorOf(found.Owner)}\"></span><code>{found.Owner}</code></dd></div>\n");
        html.Add("<div><dt>Runner-up</dt><dd>");
        if (found.RunnerUp is { } next) html.Add($"<span class=\"swatch c{data.ColorOf(next)}\"></span><code>{next}</code> <span class=\"quiet\">if the owner leaves</span>");
        else html.Add("none, the ring has one gateway");
        html.Add($"</dd></div>\n<div><dt>Key</dt><dd><code>{found.GroupKey}</code></dd></div>\n");
        html.Add($"<div><dt>Hash</dt><dd><code>{found.Hash.ToString("x8", null)}</code></dd></div>\n");
        html.Add($"<div><dt>Push to the owner</dt><dd><code class=\"whole\">{found.Curl}</code></dd></div>\n");
        html.Add($"<div><dt>Delete it there</dt><dd><code class=\"whole\">curl -X DELETE {ShellText.Quote(found.Location)}</code></dd></div>\n</dl>\n");
    }
}
