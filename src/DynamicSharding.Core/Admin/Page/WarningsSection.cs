namespace DynamicSharding.Admin.Page;

/// <summary>What is wrong, in words, and what to do.</summary>
internal static class WarningsSection
{
    public static void Write(Html html, PageData data)
    {
        html.Add("<section id=\"warnings\" data-live aria-labelledby=\"warnings-title\">\n");
        if (data.Warnings.Count == 0)
        {
            html.Add("<h2 id=\"warnings-title\" class=\"unseen\">Warnings</h2>\n<p class=\"calm\">Nothing needs attention.</p>\n</section>\n");
            return;
        }

        html.Add("<h2 id=\"warnings-title\">Needs attention</h2>\n<ul class=\"warnings\">\n");
        foreach (WarningEntry warning in data.Warnings)
        {
            html.Add($"<li class=\"{warning.Severity}\"><p><strong><span class=\"severity\">{Name(warning.Severity)}</span> {warning.What}</strong></p>\n");
            html.Add("<p>");
            WriteRemedy(html, warning.Remedy);
            html.Add("</p></li>\n");
        }

        html.Add("</ul>\n</section>\n");
    }

    /// <summary>What stands between backquotes is to be copied.</summary>
    private static void WriteRemedy(Html html, string remedy)
    {
        string[] parts = remedy.Split('`');
        for (int i = 0; i < parts.Length; i++)
        {
            if (i % 2 == 0) html.Add($"{parts[i]}");
            else if (i == parts.Length - 1) html.Add($"`{parts[i]}");
            else html.Add($"<code class=\"whole\">{parts[i]}</code>");
        }
    }

    private static string Name(string severity) => severity switch
    {
        WarningEntry.Critical => "Critical:",
        WarningEntry.Warning => "Warning:",
        _ => "Note:",
    };
}
