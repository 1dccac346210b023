using System.Text;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Reads the files that the configuration names.</summary>
internal static class ConfigFiles
{
    private const string TooLarge = "is larger than 4 MiB, which no certificate, key or secret is; check the path";

    private const string NotRegular = "is a pipe or a device; name a regular file, since it is read again when it changes";

    private const int MaxSecretBytes = 64 * 1024;

    /// <summary>Several times the CA bundle of a Linux distribution.</summary>
    private const int MaxBytes = 4 << 20;

    /// <summary>Reads the path of a file, relative to the configuration file. The file must be readable now, not only at the first handshake.</summary>
    public static bool TryRead(ConfigLocation location, out string? path)
    {
        path = null;
        if (location.Node is not YamlScalar scalar) return location.Fail("must be one path, not a list or a mapping");
        if (scalar.Text.Length == 0) return true;
        path = Path.Combine(location.Directory, scalar.Text);
        return Unreadable(path) is not { } why || location.Fail(why);
    }

    public static bool TryReadToken(ConfigLocation location, out string? path) =>
        TryRead(location, out path) && (path is null || BadToken(path) is not { } why || location.Fail(why));

    /// <returns>Why the file holds no token that can be sent, or null.</returns>
    public static string? BadToken(string path)
    {
        try
        {
            return Unreadable(path) ?? ConfigText.UnsendableToken(ReadSecret(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "cannot be read: " + NonBlockingFile.Cause(e);
        }
    }

    /// <summary>The content without white space around it.</summary>
    public static string ReadSecret(string path)
    {
        using var stream = new FileStream(NonBlockingFile.Open(path), FileAccess.Read);
        var bytes = new byte[MaxSecretBytes];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)).Trim();
    }

    /// <summary>Of a file that could be read a moment ago.</summary>
    public static bool IsEmptySecret(string path)
    {
        try
        {
            return ReadSecret(path).Length == 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <returns>Why the file cannot be read, or null.</returns>
    public static string? Unreadable(string path) => Read(path, content: null);

    /// <summary>All of a file of text, however it is encoded. Neither blocks on a pipe nor reads a device to its end.</summary>
    /// <exception cref="IOException">It cannot be read, or is no regular file, or is too large. The message names it.</exception>
    public static string ReadText(string path)
    {
        using var content = new MemoryStream();
        if (Read(path, content) is { } why) throw new IOException($"{ConfigText.FileName(path)} {why}");
        content.Position = 0;
        return new StreamReader(content).ReadToEnd();
    }

    /// <summary>Rereads, without blocking, a file that was valid at startup: a pipe or a device in its place has no length.</summary>
    /// <exception cref="IOException">It is no longer a regular file, or it is empty or too large.</exception>
    public static string Reread(string path)
    {
        long length = Resolve(path).Length;
        if (length is 0 or > MaxBytes) throw new IOException($"{ConfigText.FileName(path)} {(length == 0 ? "is empty, a pipe or a device" : TooLarge)}");
        using FileStream stream = File.OpenRead(path);
        var bytes = new byte[length];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
    }

    /// <summary>The file behind symbolic links, whose own size and time say nothing about the content.</summary>
    public static FileInfo Resolve(string path) => new(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path);

    /// <returns>Why it cannot be read, or null.</returns>
    private static string? Read(string path, MemoryStream? content)
    {
        try
        {
            return Directory.Exists(path) ? "is a directory; name a file" : ReadContent(path, content);
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
            return "cannot be opened: " + NonBlockingFile.Cause(e);
        }
    }

    private static string? ReadContent(string path, MemoryStream? content)
    {
        using var stream = new FileStream(NonBlockingFile.Open(path), FileAccess.Read);
        if (!stream.CanSeek) return NotRegular;
        if (stream.Length > MaxBytes) return TooLarge;

        // A device has no length, and may have no end.
        var buffer = new byte[16 * 1024];
        for (int read, total = 0; (read = stream.Read(buffer)) > 0;)
        {
            if ((total += read) > MaxBytes) return NotRegular;
            content?.Write(buffer, 0, read);
        }

        return null;
    }
}
