namespace DynamicSharding.Admin.Page;

/// <summary>What is wrong and what to do about it.</summary>
internal static class WarningsSection
{
    public static void Write(Html html, PageData data)
    {
        if (data.Warnings.Count == 0)
        {
            html.Add("<section id=\"warnings\" data-live aria-labelledby=\"warnings-title\">\n");
            html.Add("<h2 id=\"warnings-title\" class=\"unseen\">Warnings</h2>\n<p class=\"calm\">Nothing needs attention.</p>\n</section>\n");
            return;
        }

        html.BeginSection("warnings", "Needs attention");
        html.Add("<ul class=\"warnings\">\n");
        foreach (WarningEntry warning in data.Warnings)
        {
            string severity = char.ToUpperInvariant(warning.Severity[0]) + warning.Severity[1..];
            html.Add($"<li class=\"{warning.Severity}\"><p><strong><span class=\"severity\">{severity}:</span> ");
            html.Prose(warning.What);
            html.Add("</strong></p>\n<p>");
            WriteRemedy(html, warning.Remedy);
            html.Add("</p></li>\n");
        }

        html.Add("</ul>\n");
        html.EndSection();
    }

    /// <summary>Text between backquotes is meant to be copied.</summary>
    private static void WriteRemedy(Html html, string remedy)
    {
        string[] parts = remedy.Split('`');
        for (int i = 0; i < parts.Length; i++)
        {
            if (i % 2 == 0) html.Prose(parts[i]);
            else if (i == parts.Length - 1) html.Add($"`{parts[i]}");
            else html.Add($"<code class=\"whole\">{parts[i]}</code>");
        }
    }
}
