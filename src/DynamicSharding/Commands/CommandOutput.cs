using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace DynamicSharding.Commands;

/// <summary>What the one-shot commands share: results on stdout, a failure on stderr with its exit code.</summary>
internal static class CommandOutput
{
    /// <summary>For terminals and scripts, not for web pages: a plus stays a plus.</summary>
    private static readonly JsonWriterOptions JsonOptions = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

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

    public static void WriteJson(TextWriter output, Action<Utf8JsonWriter> write)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, JsonOptions)) write(json);
        output.WriteLine(Encoding.UTF8.GetString(bytes.ToArray()));
    }
}
