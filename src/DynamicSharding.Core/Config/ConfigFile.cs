using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Turns a YAML file into options, or into all of its errors at once.</summary>
internal static class ConfigFile
{
    /// <summary>Room for a hundred thousand servers. A device or a log file named by mistake is not read to its end.</summary>
    public const int MaxBytes = 4 << 20;

    /// <summary>The file may be a pipe (/dev/stdin, process substitution). One without a writer must not block the start or a reload forever.</summary>
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Bytes that YAML forbids (1.2, c-printable) and the parser drops or accepts: an invisible one would change a name.</summary>
    private static readonly SearchValues<byte> Unprintable = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(static code => (byte)code).Except("\t\n\r"u8.ToArray()), 0x7f]);

    private const string NamedPipe =
        "is a named pipe, which is deprecated: it can be read only once, so that a reload waits until it is written again; write the configuration to a file, and name that ";

    /// <param name="path">As given: messages repeat it.</param>
    /// <param name="environment">Returns the value of a variable.</param>
    /// <param name="place">Where an operator names the file, for messages that advise another one.</param>
    public static ConfigResult Load(string path, Func<string, string?> environment, string place = "with --config.file")
    {
        var problems = new ConfigProblems(path);
        return ReadBytes(path, place, problems) is { } content
            ? Parse(content, environment, problems) with { Digest = SHA256.HashData(content) }
            : Failed(problems);
    }

    public static ConfigResult Parse(string path, byte[] content, Func<string, string?> environment) =>
        Parse(content, environment, new ConfigProblems(path));

    private static ConfigResult Parse(byte[] content, Func<string, string?> environment, ConfigProblems problems)
    {
        if (Decode(content, problems) is not { } text) return Failed(problems);
        YamlNode? root = new YamlTreeReader(problems).Read(text);
        if (root is null && problems.HasErrors) return Failed(problems);
        if (root is null or { IsNull: true })
        {
            problems.Error("is empty; it must name pushgateway.servers or a consul_server");
            return Failed(problems);
        }

        if (root is not YamlMapping mapping)
        {
            problems.Error(root, "must be a mapping of keys to values, such as 'http_listen_addr: :9292'");
            return Failed(problems);
        }

        var document = new ConfigDocument(mapping, problems);
        var validator = new ConfigValidator(document, problems);
        string directory = Path.GetDirectoryName(Path.GetFullPath(problems.File)) ?? "/";
        ServerOptions options = validator.Derive(new ConfigReader(directory, problems).Read(document));
        if (options.Discovery == DiscoveryKind.Consul)
        {
            options = options with { Consul = new ConsulEnvironment(environment, problems).FillGaps(options.Consul, document) };
        }

        validator.Check(options);
        if (!problems.HasErrors) new ConfigLint(document).Check(options);
        return problems.HasErrors ? Failed(problems) : new ConfigResult(options, [], problems.Warnings);
    }

    private static ConfigResult Failed(ConfigProblems problems) => new(null, problems.Errors, problems.Warnings);

    private static byte[]? ReadBytes(string path, string place, ConfigProblems problems)
    {
        string remedy = "name the file " + place;
        try
        {
            if (path.Length == 0)
            {
                problems.Error("its name is empty; " + remedy);
                return null;
            }

            if (Directory.Exists(path))
            {
                problems.Error("is a directory; " + remedy);
                return null;
            }

            string? kind = FileStamp.Of(path).Error;
            if (kind is FileStamp.NotRegular or FileStamp.Pipe && NonBlockingFile.IsDescriptor(path)) kind = null;
            if (kind == FileStamp.NotRegular)
            {
                problems.Error("is a socket or a device, not a regular file; " + remedy);
                return null;
            }

            byte[]? content = NonBlockingFile.ReadToEnd(path, MaxBytes, ReadTimeout);
            if (content?.Length <= MaxBytes)
            {
                if (kind == FileStamp.Pipe) problems.Deprecation(NamedPipe + place);
                return content;
            }

            problems.Error(content is null
                ? $"could not be read to its end within {ReadTimeout.TotalSeconds:0} s; if it is a pipe, somebody must write to it and close it"
                : "is larger than 4 MiB, so it is not a configuration file; " + remedy);
            return null;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            problems.Error("does not exist; create it or " + remedy);
        }
        catch (UnauthorizedAccessException)
        {
            problems.Error("cannot be read by this user; give it read permission");
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException)
        {
            problems.Error("cannot be read: " + e.Message);
        }

        return null;
    }

    /// <summary>Strict: a silently replaced byte could be part of a host name.</summary>
    private static string? Decode(byte[] content, ConfigProblems problems)
    {
        ReadOnlySpan<byte> bytes = content;
        if (bytes.StartsWith(Encoding.UTF8.Preamble)) bytes = bytes[Encoding.UTF8.Preamble.Length..];
        if (Utf8.IsValid(bytes) && bytes.IndexOfAny(Unprintable) < 0) return Encoding.UTF8.GetString(bytes);

        int line = 1;
        int column = 1;
        while (Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == OperationStatus.Done && !Unprintable.Contains(bytes[0]))
        {
            (line, column) = rune.Value == '\n' ? (line + 1, 1) : (line, column + 1);
            bytes = bytes[length..];
        }

        string problem = Unprintable.Contains(bytes[0]) ? "is a control character; remove it" : "is not UTF-8; save the file as UTF-8";
        problems.Error(line, column, $"the byte 0x{bytes[0]:x2} {problem}");
        return null;
    }
}

/// <param name="Options">Null exactly when there are errors.</param>
/// <param name="Errors">In the file's order.</param>
internal sealed record ConfigResult(ServerOptions? Options, ImmutableArray<ConfigProblem> Errors, ImmutableArray<ConfigProblem> Warnings)
{
    /// <summary>SHA-256 of the file; null if it could not be read.</summary>
    public byte[]? Digest { get; init; }
}
