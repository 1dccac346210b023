using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

namespace DynamicSharding.Cleanup.Gateways;

/// <summary>The groups of one gateway, by number, and what a cleaner asks of it.</summary>
internal sealed class GatewayStore(string address, IPEndPoint endPoint)
{
    /// <summary>The default of <c>sharding.replicas</c>.</summary>
    private const int Replicas = 500;

    private const string JobPath = "/metrics/job@base64/";
    private const string JobPrefix = "batch_";
    private const int FlushBytes = 256 * 1024;

    private static readonly DateTimeOffset Started = DateTimeOffset.UtcNow;

    private readonly SortedSet<int> _newest = [];
    private readonly SortedSet<int> _stale = [];

    public IPEndPoint EndPoint { get; } = endPoint;

    public int StaleCopies => _stale.Count;

    public int DeletedStale { get; private set; }

    public int DeletedNewest { get; private set; }

    /// <summary>Of lists of groups.</summary>
    public long SentBytes { get; private set; }

    /// <summary>Every group is on its owner; those that the last gateway took from another have an older copy there.</summary>
    public static Dictionary<IPAddress, GatewayStore> AfterScaleOut(int port, int count, int groups)
    {
        GatewayStore[] stores = [.. Enumerable.Range(1, count).Select(i => Create(new IPEndPoint(IPAddress.Parse($"127.0.1.{i}"), port)))];
        Dictionary<string, GatewayStore> byAddress = stores.ToDictionary(static store => store.Address, StringComparer.Ordinal);
        GroupOwners before = OwnersOf(stores[..^1]), after = OwnersOf(stores);
        for (int number = 0; number < groups; number++)
        {
            var group = new PushgatewayGroup { Labels = [new("job", JobOf(number))] };
            string old = before.Of(group)!, owner = after.Of(group)!;
            byAddress[owner]._newest.Add(number);
            if (old != owner) byAddress[old]._stale.Add(number);
        }

        return stores.ToDictionary(static store => store.EndPoint.Address);
    }

    private string Address { get; } = address;

    public Task RespondAsync(HttpContext context)
    {
        string path = context.Request.Path.Value!;
        if (context.Request.Method == HttpMethods.Delete) return Delete(context, path);
        return path switch
        {
            "/api/v1/metrics" => WriteGroupsAsync(context),
            "/api/v1/status" => WriteAsync(context, "{\"status\":\"success\",\"data\":{\"build_information\":{\"version\":\"1.5.1\"},\"flags\":{},\"start_time\":\"" + Started.ToString("O") + "\"}}"),
            _ => WriteAsync(context, "OK"),
        };
    }

    private static string JobOf(int number) => string.Create(CultureInfo.InvariantCulture, $"{JobPrefix}{number:D8}");

    private static GatewayStore Create(IPEndPoint endPoint) => new(endPoint.ToString(), endPoint);

    private static GroupOwners OwnersOf(GatewayStore[] stores) =>
        new(HashRing<Gateway>.Build(stores.Select(static store => new Gateway(store.Address, [], [], new PerLoopCounter(1))), Replicas, "group"));

    private static Task WriteAsync(HttpContext context, string text)
    {
        context.Response.Headers.Date = DateTimeOffset.UtcNow.ToString("R");
        return context.Response.WriteAsync(text);
    }

    private Task Delete(HttpContext context, string path)
    {
        string job = path.StartsWith(JobPath, StringComparison.Ordinal) && Base64Url.IsValid(path.AsSpan(JobPath.Length))
            ? Encoding.UTF8.GetString(Base64Url.DecodeFromChars(path.AsSpan(JobPath.Length))) : "";
        if (!job.StartsWith(JobPrefix, StringComparison.Ordinal))
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return Task.CompletedTask;
        }

        int number = int.Parse(job.AsSpan(JobPrefix.Length), CultureInfo.InvariantCulture);
        lock (_stale)
        {
            if (_stale.Remove(number)) DeletedStale++;
            else if (_newest.Remove(number)) DeletedNewest++;
        }

        context.Response.StatusCode = StatusCodes.Status202Accepted;
        return Task.CompletedTask;
    }

    private async Task WriteGroupsAsync(HttpContext context)
    {
        int[] newest, stale;
        lock (_stale)
        {
            newest = [.. _newest];
            stale = [.. _stale];
        }

        context.Response.Headers.Date = DateTimeOffset.UtcNow.ToString("R");
        PipeWriter body = context.Response.BodyWriter;
        body.Write("{\"status\":\"success\",\"data\":["u8);
        bool first = true;
        foreach ((int[] numbers, double pushed) in new[] { (newest, Seconds(Started)), (stale, Seconds(Started.AddHours(-1))) })
        {
            foreach (int number in numbers)
            {
                SentBytes += body.UnflushedBytes > FlushBytes ? (await FlushAsync(body)) : 0;
                if (!first) body.Write(","u8);
                first = false;
                Encoding.UTF8.GetBytes(GroupOf(JobOf(number), pushed), body);
            }
        }

        body.Write("]}"u8);
        SentBytes += await FlushAsync(body);
    }

    private static async Task<long> FlushAsync(PipeWriter body)
    {
        long bytes = body.UnflushedBytes;
        await body.FlushAsync();
        return bytes;
    }

    private static double Seconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds() / 1000.0;

    /// <summary>As Pushgateway writes a group of a batch job with four gauges: about 1 KiB.</summary>
    private static string GroupOf(string job, double pushed)
    {
        string time = DateTimeOffset.FromUnixTimeMilliseconds((long)(pushed * 1000)).ToString("O");
        var text = new StringBuilder(1200);
        text.Append(CultureInfo.InvariantCulture, $$$"""{"labels":{"job":"{{{job}}}"},"last_push_successful":true""");
        Append(text, "push_failure_time_seconds", "Last Unix time when changing this group in the Pushgateway failed.", job, time, "0");
        Append(text, "push_time_seconds", "Last Unix time when changing this group in the Pushgateway succeeded.", job, time, pushed.ToString("E17", CultureInfo.InvariantCulture));
        foreach (string name in new[] { "duration_seconds", "last_success_timestamp_seconds", "records_processed", "records_failed" })
            Append(text, "batch_job_" + name, $"The {name} of the job's last run.", job, time, "42");
        return text.Append('}').ToString();
    }

    private static void Append(StringBuilder text, string name, string help, string job, string time, string value) => text.Append(
        CultureInfo.InvariantCulture,
        $$$"""
        ,"{{{name}}}":{"time_stamp":"{{{time}}}","type":"GAUGE","help":"{{{help}}}","metrics":[{"labels":{"instance":"","job":"{{{job}}}"},"value":"{{{value}}}"}]}
        """);
}
