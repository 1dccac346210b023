using System.Text;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Files that the configuration names.</summary>
internal static class ConfigFiles
{
    private const string TooLarge = "is larger than 4 MiB, so it is none of the files that this key means";

    private const string NoFile = "is a pipe or a device; name a regular file, since it is read again when it changes";

    /// <summary>No password or token is longer; a device that was named by mistake is not read to its end.</summary>
    private const int MaxSecretBytes = 64 * 1024;

    /// <summary>Room for every authority of a Linux distribution, several times over; a device that never ends is not read to its end.</summary>
    private const int MaxBytes = 4 << 20;

    /// <summary>
    /// Reads a path, relative to the configuration file, of a file that can be opened now: better said at the start than at the first handshake.
    /// </summary>
    public static bool TryRead(ConfigLocation site, out string? path)
    {
        path = null;
        if (site.Node is not YamlScalar scalar) return site.Fail("must be one path, not a list or a mapping");
        if (scalar.Text.Length == 0) return true;
        path = Path.Combine(site.Directory, scalar.Text);
        return Unreadable(path) is not { } why || site.Fail(why);
    }

    /// <summary>The same for a file that holds a token.</summary>
    public static bool TryReadToken(ConfigLocation site, out string? path) =>
        TryRead(site, out path) && (path is null || BadToken(path) is not { } why || site.Fail(why));

    /// <returns>Why the file does not hold a token that can be sent, or null.</returns>
    public static string? BadToken(string path)
    {
        try
        {
            return Unreadable(path) ?? ConfigText.UnsendableToken(ReadSecret(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "cannot be read: " + PatientFile.Cause(e);
        }
    }

    /// <summary>The content of a file that <see cref="Unreadable"/> has nothing against, without blanks and line breaks around it.</summary>
    public static string ReadSecret(string path)
    {
        using FileStream stream = File.OpenRead(path);
        var bytes = new byte[MaxSecretBytes];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)).Trim();
    }

    /// <returns>Why the file cannot be read, or null.</returns>
    public static string? Unreadable(string path)
    {
        try
        {
            if (Directory.Exists(path)) return "is a directory; name a file";
            return Fault(path);
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
            return "cannot be opened: " + PatientFile.Cause(e);
        }
    }

    /// <summary>
    /// The text of a file that was good at the start, as it is now, without a wait: opening a pipe in its place would block, and a pipe or a
    /// device has no length.
    /// </summary>
    /// <exception cref="IOException">It is no regular file any more, or an empty or a huge one.</exception>
    public static string Reread(string path)
    {
        long length = Resolve(path).Length;
        if (length is 0 or > MaxBytes) throw new IOException(length == 0 ? "it is empty, a pipe or a device" : TooLarge);
        using FileStream stream = File.OpenRead(path);
        var bytes = new byte[length];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
    }

    /// <summary>The file behind symbolic links: theirs are no sizes and times of content.</summary>
    public static FileInfo Resolve(string path) => new(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path);

    private static string? Fault(string path)
    {
        using var stream = new FileStream(PatientFile.Open(path), FileAccess.Read);
        if (!stream.CanSeek) return NoFile;
        if (stream.Length > MaxBytes) return TooLarge;

        // A device has no length, and may have no end.
        var buffer = new byte[16 * 1024];
        for (int read, total = 0; (read = stream.Read(buffer)) > 0;)
        {
            if ((total += read) > MaxBytes) return NoFile;
        }

        return null;
    }
}
