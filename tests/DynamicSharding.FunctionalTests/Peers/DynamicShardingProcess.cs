using System.Globalization;
using System.Net;
using System.Text.Json;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>The program under test as a separate process, tested only through its sockets.</summary>
public sealed class DynamicShardingProcess : IPeer
{
    private static readonly Dictionary<string, string> RuntimeEnvironment = new() { ["DOTNET_ROOT"] = Binary.DotnetRoot };

    private const string FileName = "dynamic-sharding.yml";

    private readonly TemporaryFolder _folder;
    private readonly HttpClient _data;
    private readonly HttpClient _following;
    private readonly HttpClient _admin;
    private readonly string _adminAddress;

    private DynamicShardingProcess(ChildProcess process, TemporaryFolder folder, string address, string adminAddress)
    {
        _adminAddress = adminAddress;
        Process = process;
        _folder = folder;
        Address = address;
        _data = LoopbackHttp.Client(address, followRedirects: false);
        _following = LoopbackHttp.Client(address);
        _admin = LoopbackHttp.Client(adminAddress);
    }

    public ChildProcess Process { get; }

    /// <summary><c>host:port</c> of the data listener.</summary>
    public string Address { get; }

    /// <summary><c>host:port</c> of the admin listener.</summary>
    public string AdminAddress => _adminAddress;

    public string ConfigFile => Path.Combine(_folder.Path, FileName);

    /// <summary>Starts with the given configuration, which names no listen addresses, on free ports.</summary>
    /// <param name="config">The file's text.</param>
    /// <param name="environment">Additional variables.</param>
    /// <param name="inItsFolder">Start in the folder of the configuration file, and pass only the file name.</param>
    /// <param name="logLevel">At debug, a batch of responses ends at each rejection, which is logged.</param>
    public static Task<DynamicShardingProcess> StartAsync(
        string config, IReadOnlyDictionary<string, string>? environment = null, bool inItsFolder = false, string logLevel = "debug")
    {
        string address = FreePort.NextAddress();
        string adminAddress = FreePort.NextAddress();
        return StartAsync(Complete(config, address, adminAddress), address, adminAddress, environment, inItsFolder, logLevel);
    }

    /// <summary>Starts with exactly the given configuration, which contains the given addresses.</summary>
    /// <param name="config">The file's text.</param>
    /// <param name="address">Of the data listener.</param>
    /// <param name="adminAddress">Of the admin listener.</param>
    /// <param name="environment">Additional variables.</param>
    /// <param name="inItsFolder">Start in the folder of the configuration file, and pass only the file name.</param>
    /// <param name="logLevel">See above.</param>
    public static async Task<DynamicShardingProcess> StartAsync(
        string config,
        string address,
        string adminAddress,
        IReadOnlyDictionary<string, string>? environment = null,
        bool inItsFolder = false,
        string logLevel = "debug")
    {
        TemporaryFolder folder = new();
        string path = folder.Write(FileName, config);
        ChildProcess process = await ChildProcess.StartAsync(
            "dynamic-sharding " + address,
            Binary.Path,
            ["--config.file", inItsFolder ? FileName : path, "--log.level", logLevel],
            With(environment ?? new Dictionary<string, string>()),
            folder: inItsFolder ? folder.Path : null);
        DynamicShardingProcess server = new(process, folder, address, adminAddress);
        return await ChildProcess.WhenReadyAsync(
            server, async () => await server.StatusCodeOfAsync("-/healthy") == HttpStatusCode.OK, TimeSpan.FromSeconds(30));
    }

    /// <summary>Runs it until it exits, to test its output.</summary>
    public static Task<(int ExitCode, string Output)> RunAsync(params string[] arguments) => RunAsync(arguments, new Dictionary<string, string>());

    public static async Task<(int ExitCode, string Output)> RunAsync(string[] arguments, IReadOnlyDictionary<string, string> environment)
    {
        await using ChildProcess process = await ChildProcess.StartAsync("dynamic-sharding", Binary.Path, arguments, With(environment));
        return (await process.WaitForExitAsync(TimeSpan.FromSeconds(30)), process.Output);
    }

    public async Task<HttpStatusCode> StatusCodeOfAsync(string path)
    {
        using HttpResponseMessage reply = await _data.GetAsync(path);
        return reply.StatusCode;
    }

    public Task WaitUntilReadyAsync() => Process.WaitUntilReadyAsync(
        async () => await StatusCodeOfAsync("-/ready") == HttpStatusCode.OK, TimeSpan.FromSeconds(30));

    /// <summary>The owner of a push: the authority of the Location.</summary>
    public async Task<string> OwnerOfAsync(string path)
    {
        using HttpRequestMessage request = new(HttpMethod.Put, path);
        using HttpResponseMessage reply = await _data.SendAsync(request);
        Assert.Equal(HttpStatusCode.TemporaryRedirect, reply.StatusCode);
        return reply.Headers.Location!.Authority;
    }

    public async Task<Dictionary<string, string>> OwnersOfAsync(IEnumerable<string> paths)
    {
        Dictionary<string, string> owners = [];
        foreach (string path in paths) owners[path] = await OwnerOfAsync(path);
        return owners;
    }

    /// <summary>Pushes like a client: follows the redirect, with the content.</summary>
    public async Task<HttpStatusCode> PushAsync(string path, string body)
    {
        using StringContent content = new(body);
        using HttpResponseMessage reply = await _following.PutAsync(path, content);
        return reply.StatusCode;
    }

    public async Task<JsonElement> StatusAsync()
    {
        using JsonDocument document = JsonDocument.Parse(await _admin.GetStringAsync("api/v1/status"));
        return document.RootElement.Clone();
    }

    /// <summary>What its warnings say.</summary>
    public async Task<string[]> WarningsAsync() =>
        [.. (await StatusAsync()).GetProperty("warnings").EnumerateArray().Select(static warning => warning.GetProperty("what").GetString()!)];

    public Task<string> MetricsAsync() => _admin.GetStringAsync("metrics");

    /// <summary>The gateways that are in the ring, in ordinal order.</summary>
    public async Task<string[]> MembersAsync()
    {
        JsonElement status = await StatusAsync();
        return [.. status.GetProperty("members").EnumerateArray()
            .Where(member => member.GetProperty("state").GetString() == "member")
            .Select(member => member.GetProperty("address").GetString()!)
            .Order(StringComparer.Ordinal)];
    }

    /// <returns>How long it took.</returns>
    public async Task<TimeSpan> WaitForMembersAsync(IEnumerable<string> addresses, TimeSpan limit)
    {
        string[] expected = [.. addresses.Order(StringComparer.Ordinal)];
        string[] seen = [];
        return await Eventually.TrueAsync(
            async () =>
            {
                seen = await MembersAsync();
                return seen.SequenceEqual(expected);
            },
            limit,
            () => $"members [{string.Join(", ", seen)}], wanted [{string.Join(", ", expected)}]");
    }

    /// <summary>Waits until the published ring consists of these; a member that is about to leave is still in it.</summary>
    /// <returns>How long it took.</returns>
    public Task<TimeSpan> WaitForRingAsync(IEnumerable<string> addresses, TimeSpan limit)
    {
        string[] expected = [.. addresses.Order(StringComparer.Ordinal)];
        return Eventually.TrueAsync(
            async () => (await StatusAsync()).GetProperty("members").EnumerateArray()
                .Where(member => member.GetProperty("in_ring").GetBoolean())
                .Select(member => member.GetProperty("address").GetString()!)
                .Order(StringComparer.Ordinal)
                .SequenceEqual(expected),
            limit,
            () => $"a ring of [{string.Join(", ", expected)}]");
    }

    /// <summary>Waits until the gateway is known, whatever its state.</summary>
    public Task<TimeSpan> WaitForGatewayAsync(string address, TimeSpan limit) => Eventually.TrueAsync(
        async () => (await StatusAsync()).GetProperty("members").EnumerateArray().Any(member => member.GetProperty("address").GetString() == address),
        limit,
        () => $"{address} is not known");

    /// <summary>Ring changes since the start, without the first ring; the status API and the metric must agree.</summary>
    public async Task<long> ChangesAsync()
    {
        const string Metric = "dynamic_sharding_ring_changes_total";
        while (true)
        {
            long changes = (await StatusAsync()).GetProperty("changes").GetInt64();
            string page = await _admin.GetStringAsync("metrics");
            if ((await StatusAsync()).GetProperty("changes").GetInt64() != changes) continue;
            double counted = page.Split('\n')
                .Where(line => line.StartsWith(Metric, StringComparison.Ordinal))
                .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
            Assert.Equal(changes, counted);
            return changes;
        }
    }

    /// <returns>A metric's value; 0 while it has none.</returns>
    /// <param name="series">As on the page: the name, and labels if it has some.</param>
    public async Task<double> MetricAsync(string series)
    {
        string page = await _admin.GetStringAsync("metrics");
        string? line = page.Split('\n').FirstOrDefault(line => line.StartsWith(series + " ", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line[(series.Length + 1)..], CultureInfo.InvariantCulture);
    }

    public async Task<string> FingerprintAsync() => (await StatusAsync()).GetProperty("fingerprint").GetString()!;

    /// <summary>Replaces the file; takes effect with a reload.</summary>
    public void WriteConfig(string config) => _folder.Write(FileName, Complete(config, Address, _adminAddress));

    public async Task<(HttpStatusCode Status, string Text)> ReloadAsync()
    {
        using HttpResponseMessage reply = await _admin.PostAsync("-/reload", null);
        return (reply.StatusCode, await reply.Content.ReadAsStringAsync());
    }

    /// <returns>How long it took until a line of its log contained every one of these.</returns>
    public Task<TimeSpan> WaitForLogAsync(TimeSpan limit, params string[] parts) => Eventually.TrueAsync(
        () => Task.FromResult(HasLogged(parts)), limit, () => $"a line with [{string.Join(" | ", parts)}] in the log");

    public bool HasLogged(params string[] parts) =>
        Process.Output.Split('\n').Any(line => parts.All(part => line.Contains(part, StringComparison.Ordinal)));

    /// <summary>Resident memory in MiB, now and at its highest.</summary>
    public (double Now, double Peak) Memory()
    {
        string[] lines = File.ReadAllLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{Process.Pid}/status"));
        return (MiB("VmRSS:"), MiB("VmHWM:"));

        double MiB(string name) => double.Parse(
            lines.First(line => line.StartsWith(name, StringComparison.Ordinal)).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture) / 1024;
    }

    /// <summary>From now on, the peak is the highest value after this call.</summary>
    public void ResetPeakMemory() => File.WriteAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{Process.Pid}/clear_refs"), "5");

    public async ValueTask DisposeAsync()
    {
        _data.Dispose();
        _following.Dispose();
        _admin.Dispose();
        await Process.DisposeAsync();
        _folder.Dispose();
    }

    private static Dictionary<string, string> With(IReadOnlyDictionary<string, string> environment) =>
        new([.. RuntimeEnvironment, .. environment]);

    /// <summary>Adds the listeners, and stops without the delay that a load balancer needs, which would slow down every test.</summary>
    private static string Complete(string config, string address, string adminAddress)
    {
        string shutdown = config.Contains("shutdown:", StringComparison.Ordinal) ? "" : "shutdown: { drain_delay: 0s }\n";
        return $"http_listen_addr: {address}\nadmin_listen_addr: {adminAddress}\n{shutdown}{config}";
    }
}
