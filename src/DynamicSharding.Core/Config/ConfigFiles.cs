using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Files that the configuration names.</summary>
internal static class ConfigFiles
{
    /// <summary>
    /// Reads a path, relative to the configuration file, of a file that can be opened now: better said at the start than at the first handshake.
    /// </summary>
    public static bool TryRead(ConfigSite site, out string? path)
    {
        path = null;
        if (site.Node is not YamlScalar scalar) return site.Fail("must be one path, not a list or a mapping");
        if (scalar.Text.Length == 0) return true;
        path = Path.Combine(site.Directory, scalar.Text);
        return Unreadable(path) is not { } why || site.Fail($"{ConfigText.Quote(scalar.Text)} {why}");
    }

    /// <returns>Why the file cannot be read, or null.</returns>
    public static string? Unreadable(string path)
    {
        try
        {
            if (Directory.Exists(path)) return "is a directory; name a file";
            using FileStream stream = File.OpenRead(path);
            return null;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return "does not exist; create the file or correct the path (relative paths start at the configuration file)";
        }
        catch (UnauthorizedAccessException)
        {
            return "cannot be read by this user; give it read permission";
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException)
        {
            return "cannot be opened: " + e.Message;
        }
    }
}
