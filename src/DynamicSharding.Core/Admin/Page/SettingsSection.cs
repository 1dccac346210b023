using DynamicSharding.Config;

namespace DynamicSharding.Admin.Page;

/// <summary>The active configuration, key by key. Of secrets it only shows that they are set.</summary>
internal static class SettingsSection
{
    private static readonly ServerOptions Defaults = new();

    public static void Write(Html html, PageData data)
    {
        ConfigKey[] changed = [.. ConfigKeys.All.Where(key => !key.SameIn(data.Options, Defaults))];
        html.BeginSection("settings", "Active configuration");
        html.Add("<p class=\"quiet\">Settings that differ from the default:</p>\n");
        if (changed.Length == 0) html.Add("<p>None.</p>\n");
        else WriteTable(html, data.Options, changed);
        html.Add("<details id=\"all-settings\"><summary>All settings</summary>\n");
        WriteTable(html, data.Options, ConfigKeys.All);
        html.Add("</details>\n<form method=\"post\" action=\"-/reload\" id=\"reload\"><button>Reload configuration</button> ");
        html.Add("<output id=\"reloaded\"></output></form>\n");
        html.EndSection();
    }

    private static void WriteTable(Html html, ServerOptions options, IEnumerable<ConfigKey> keys)
    {
        html.Add("<table role=\"table\" class=\"settings\">\n<thead role=\"rowgroup\" class=\"unseen\"><tr role=\"row\">");
        html.Add("<th role=\"columnheader\" scope=\"col\">Key</th><th role=\"columnheader\" scope=\"col\">Value</th></tr></thead>\n<tbody role=\"rowgroup\">\n");
        foreach (ConfigKey key in keys)
        {
            string value = key.Show(options);
            html.BeginRow();
            html.Add($"<code>{key.Path}</code></th><td role=\"cell\">");
            if (value.Length == 0)
            {
                html.Add("<span class=\"quiet\">none</span></td></tr>\n");
                continue;
            }

            html.Add("<code>");
            html.Prose(value);
            html.Add("</code></td></tr>\n");
        }

        html.EndTable();
    }
}
