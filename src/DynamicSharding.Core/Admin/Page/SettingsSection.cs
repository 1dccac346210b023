using DynamicSharding.Config;

namespace DynamicSharding.Admin.Page;

/// <summary>The configuration in force, key by key; secrets only say that they are set.</summary>
internal static class SettingsSection
{
    private static readonly ServerOptions Defaults = new();

    public static void Write(Html html, PageData data)
    {
        ConfigKey[] set = [.. ConfigKeys.All.Where(key => !key.SameIn(data.Options, Defaults))];
        html.Add("<section id=\"settings\" data-live aria-labelledby=\"settings-title\">\n<h2 id=\"settings-title\">Configuration in force</h2>\n");
        html.Add("<p class=\"quiet\">Set, and different from the default:</p>\n");
        if (set.Length == 0) html.Add("<p>Nothing.</p>\n");
        else WriteTable(html, data.Options, set);
        html.Add("<details id=\"all-settings\"><summary>Every key</summary>\n");
        WriteTable(html, data.Options, ConfigKeys.All);
        html.Add("</details>\n<form method=\"post\" action=\"-/reload\" id=\"reload\"><button>Read the file again</button> ");
        html.Add("<output id=\"reloaded\"></output></form>\n</section>\n");
    }

    private static void WriteTable(Html html, ServerOptions options, IEnumerable<ConfigKey> keys)
    {
        html.Add("<table role=\"table\" class=\"settings\">\n<thead role=\"rowgroup\" class=\"unseen\"><tr role=\"row\">");
        html.Add("<th role=\"columnheader\" scope=\"col\">Key</th><th role=\"columnheader\" scope=\"col\">Value</th></tr></thead>\n<tbody role=\"rowgroup\">\n");
        foreach (ConfigKey key in keys)
        {
            string shown = key.Show(options);
            html.Add($"<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><code>{key.Path}</code></th><td role=\"cell\">");
            if (shown.Length == 0) html.Add("<span class=\"quiet\">none</span>");
            else html.Add($"<code>{shown}</code>");
            html.Add("</td></tr>\n");
        }

        html.Add("</tbody></table>\n");
    }
}
