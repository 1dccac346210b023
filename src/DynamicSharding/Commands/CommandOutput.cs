using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
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

/// <summary>What a one-shot command says on stderr, and the exit code it ends with.</summary>
internal sealed class CommandException(string message, int exitCode = ExitCode.BadConfiguration) : Exception(message)
{
    /// <summary><see cref="ExitCode.BadConfiguration"/> for what was typed, <see cref="ExitCode.Failed"/> for what could not be reached.</summary>
    public int ExitCode { get; } = exitCode;
}

/// <summary>Holds a number option to a range. The library's conversion error comes after the validators, so the text is read here.</summary>
internal static class NumberRange
{
    public static void Check(OptionResult result, int least, int most)
    {
        if (result.Tokens is not [var token]) return;
        if (int.TryParse(token.Value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most) return;
        result.AddError(string.Create(CultureInfo.InvariantCulture, $"{result.Option.Name} is a number from {least} to {most}."));
    }
}
