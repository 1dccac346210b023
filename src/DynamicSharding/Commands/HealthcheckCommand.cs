using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;

namespace DynamicSharding.Commands;

/// <summary><c>healthcheck</c>: one question to a running server, one line, exit code 0 or 1; for containers and scripts without curl.</summary>
internal static class HealthcheckCommand
{
    private const string Path = "/-/ready";
    private const string DefaultUrl = "http://127.0.0.1:9293" + Path;

    public static Command Create()
    {
        var url = new Option<string?>("--url")
        {
            Description = $"What to ask: {DefaultUrl} by default. Without a path, {Path}; a user and password may stand before the host.",
        };
        var file = new Option<string?>("--config.file") { Description = "Ask the server that runs with this file.", HelpName = "path" };
        var timeout = new Option<string>("--timeout") { Description = "How long to wait for the answer.", DefaultValueFactory = _ => "5s" };
        var command = new Command("healthcheck", "Ask a running server whether it is ready: exit code 0 when it is, 1 when it is not.") { url, file, timeout };
        command.Validators.Add(result =>
        {
            if (result.GetValue(url) is not null && result.GetValue(file) is not null) result.AddError("Give --url or --config.file, not both.");
        });
        timeout.Validators.Add(static result =>
        {
            bool isGood = result.Tokens is not [var token] || (DurationText.TryParse(token.Value, out TimeSpan wait) && wait > TimeSpan.Zero && wait < TimeSpan.FromDays(1));
            if (!isGood) result.AddError("--timeout is a duration such as 500ms or 5s.");
        });
        command.SetAction((arguments, cancellation) => CommandOutput.RunAsync(arguments, output =>
        {
            Uri address = arguments.GetValue(file) is { } path ? AddressIn(path) : AddressOf(arguments.GetValue(url) ?? DefaultUrl);
            _ = DurationText.TryParse(arguments.GetRequiredValue(timeout), out TimeSpan wait);
            return GetAsync(address, wait, output, cancellation);
        }));
        return command;
    }

    private static async Task<int> GetAsync(Uri address, TimeSpan wait, TextWriter output, CancellationToken cancellation)
    {
        (HttpStatusCode status, byte[] content) = await AdminClient.GetAsync(address, wait, cancellation).ConfigureAwait(false);
        string text = FirstLine(Encoding.UTF8.GetString(content));
        string line = string.Create(CultureInfo.InvariantCulture, $"{AdminClient.Shown(address)}: {(int)status} {text}");
        await output.WriteLineAsync(line.TrimEnd()).ConfigureAwait(false);
        return status == HttpStatusCode.OK ? ExitCode.Stopped : ExitCode.Failed;
    }

    private static Uri AddressOf(string url)
    {
        Uri address = AdminClient.AddressOf(url);
        return address.PathAndQuery == "/" ? new Uri(address, Path) : address;
    }

    /// <summary>
    /// The admin listener, as it is written; the data listener where that is off, or wants a password or a name that this command does not have.
    /// Both answer the same.
    /// </summary>
    private static Uri AddressIn(string file)
    {
        ConfigResult config = ConfigFile.Load(file, Environment.GetEnvironmentVariable);
        ServerOptions options = config.Options ?? throw new CommandException(string.Join('\n', config.Errors));
        bool open = options.Admin.BasicAuthUsers.IsEmpty && options.Admin.TlsCertFile is null;
        ListenAddress listener = options.AdminListenAddr is { } admin && open ? admin : options.HttpListenAddr;
        IPAddress host = listener.Host switch
        {
            null => IPAddress.Loopback,
            { } any when any.Equals(IPAddress.Any) => IPAddress.Loopback,
            { } any when any.Equals(IPAddress.IPv6Any) => IPAddress.IPv6Loopback,
            { } one => one,
        };
        return new Uri($"http://{new IPEndPoint(host, listener.Port)}{Path}");
    }

    private static string FirstLine(string text)
    {
        string line = text.Split('\n', 2)[0].Trim();
        return string.Concat(line.Take(200).Where(static c => !char.IsControl(c)));
    }
}
