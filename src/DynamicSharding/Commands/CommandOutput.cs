using System.Buffers;
using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using DynamicSharding.Admin;
using DynamicSharding.Config;

namespace DynamicSharding.Commands;

/// <summary>What the one-shot commands share: results on stdout, a failure on stderr with its exit code.</summary>
internal static class CommandOutput
{
    /// <summary>For terminals and scripts, not for web pages: a plus stays a plus.</summary>
    private static readonly JavaScriptEncoder Escaping = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    private static readonly CommandJson Json = new(new(CommandJson.Default.Options) { Encoder = Escaping });

    public static async Task<int> RunAsync(ParseResult arguments, Func<TextWriter, Task<int>> run)
    {
        try
        {
            return await run(arguments.InvocationConfiguration.Output).ConfigureAwait(false);
        }
        catch (CommandException e)
        {
            await arguments.InvocationConfiguration.Error.WriteLineAsync(e.Message).ConfigureAwait(false);
            return e.ExitCode;
        }
    }

    /// <summary>Of the warnings only those about how the file is handed over: the others are for who runs the server.</summary>
    /// <exception cref="CommandException">The file has errors.</exception>
    public static ServerOptions LoadConfig(string file, ParseResult arguments)
    {
        ConfigResult config = ConfigFile.Load(file, Environment.GetEnvironmentVariable);
        foreach (ConfigProblem warning in config.Warnings.Where(static warning => warning.IsDeprecation))
            arguments.InvocationConfiguration.Error.WriteLine(warning.AsWarning());
        return config.Options ?? throw new CommandException(string.Join('\n', config.Errors));
    }

    public static void WriteJson<T>(TextWriter output, T value) =>
        output.WriteLine(JsonSerializer.Serialize(value, (JsonTypeInfo<T>)Json.GetTypeInfo(typeof(T))!));

    public static void WriteJson(TextWriter output, Action<Utf8JsonWriter> write)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes, new JsonWriterOptions { Encoder = Escaping, Indented = true })) write(json);
        output.WriteLine(Encoding.UTF8.GetString(bytes.WrittenSpan));
    }
}

/// <summary>The JSON documents that commands print.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(LookupResponse[]))]
[JsonSerializable(typeof(SimulateResponse))]
internal sealed partial class CommandJson : JsonSerializerContext;

/// <summary>What a one-shot command says on stderr, and the exit code it ends with.</summary>
internal sealed class CommandException(string message, int exitCode = ExitCode.BadConfiguration) : Exception(message)
{
    /// <summary><see cref="ExitCode.BadConfiguration"/> for wrong arguments, <see cref="ExitCode.Failed"/> for a server that does not respond.</summary>
    public int ExitCode { get; } = exitCode;
}
