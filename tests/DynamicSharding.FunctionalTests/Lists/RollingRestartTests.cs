using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests.Lists;

/// <summary>
/// A StatefulSet behind a headless service, restarted: each pod comes back under its stable name, with its volume, and with another address.
/// </summary>
[Collection(AloneGroup.Name)]
public sealed partial class RollingRestartTests(ITestOutputHelper output) : PeerTest(output)
{
    private const int Pods = 5;
    private const int Groups = 100;
    private const int Workers = 10;

    /// <summary>Ten workers at 50 pushes per second each.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact, Trait("Category", "Slow")]
    public async Task A_rolling_restart_with_new_addresses_moves_no_group_and_loses_no_push_that_was_taken()
    {
        await using DnsmasqProcess dns = await DnsmasqProcess.StartAsync();
        using TemporaryFolder volumes = new();
        int port = FreePort.Next();
        string[] names = [.. Enumerable.Range(0, Pods).Select(i => $"pgw-{i}.pgw.test")];
        Dictionary<string, string[]> addresses = names.Select((name, i) => (name, i)).ToDictionary(pod => pod.name, pod => (string[])[$"127.0.2.{pod.i + 1}"]);
        PushgatewayProcess[] pods = [.. await Task.WhenAll(names.Select(name => StartPodAsync(name)))];
        await dns.SetRecordsAsync([.. names.Select(name => DnsmasqProcess.Srv("_push._tcp.pgw.test", name, port))]);
        dns.SetAddresses(addresses);

        string data = FreePort.NextAddress(), admin = FreePort.NextAddress(), forward = FreePort.NextAddress();
        DynamicShardingProcess server = await TestPeers.DynamicShardingAsync(
            $"http_listen_addr: {data}\nadmin_listen_addr: {admin}\nforward_listen_addr: {forward}\ndiscovery: dns\n"
            + $"dns: {{ names: [_push._tcp.pgw.test], resolvers: [\"{dns.Address}\"] }}\nshutdown: {{ drain_delay: 0s }}\n", data, admin);
        await server.WaitUntilReadyAsync();
        await server.WaitForMembersAsync(names.Select(Member), Limit);
        string fingerprint = await server.FingerprintAsync();
        string[] paths = [.. Enumerable.Range(0, Groups).Select(i => $"/metrics/job/j{i}")];
        Dictionary<string, string> owners = await server.OwnersOfAsync(paths);
        Assert.Equal(Pods, owners.Values.Distinct().Count());

        using CancellationTokenSource stop = new();
        ConcurrentDictionary<string, long> taken = new();
        ConcurrentBag<(string Path, int Status, string[] Restarting)> failed = [];
        string restarting = "";
        long pushes = 0;
        Stopwatch running = Stopwatch.StartNew();
        Task[] workers = [.. Enumerable.Range(0, Workers).Select(worker => Task.Run(() => PushAsync(paths.Where((_, i) => i % Workers == worker).ToArray())))];
        for (int i = 0; i < Pods; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1));
            Volatile.Write(ref restarting, Member(names[i]));
            await pods[i].DisposeAsync();
            addresses[names[i]] = [$"127.0.3.{i + 1}"];
            pods[i] = await StartPodAsync(names[i]);

            // Nobody reaches it yet: it has what it took before, from its volume.
            Dictionary<string, double> kept = await HeldAsync(pods[i]);
            Assert.All(
                taken.Where(group => owners[group.Key] == Member(names[i])),
                group => Assert.True(kept.GetValueOrDefault(group.Key) >= group.Value, $"{group.Key} has {kept.GetValueOrDefault(group.Key)}, and {group.Value} was taken"));
            dns.SetAddresses(addresses);
            string[] own = [.. paths.Where(path => owners[path] == Member(names[i]))];
            Dictionary<string, long> before = own.ToDictionary(path => path, path => taken.GetValueOrDefault(path));
            await Eventually.TrueAsync(() => Task.FromResult(own.All(path => taken.GetValueOrDefault(path) > before[path])), Limit, () => $"pushes to {names[i]} are taken again");
        }

        Volatile.Write(ref restarting, "");
        await Task.Delay(TimeSpan.FromSeconds(1));
        await stop.CancelAsync();
        await Task.WhenAll(workers);
        Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{pushes} pushes in {running.Elapsed.TotalSeconds:0.0} s, {failed.Count} not taken"));
        Assert.True(pushes / running.Elapsed.TotalSeconds > 450, $"{pushes} pushes in {running.Elapsed}");

        // Only groups of the pod that was restarting when the push began or when it failed were refused.
        Assert.All(failed, push => Assert.Contains(owners[push.Path], push.Restarting));
        Assert.Equal(fingerprint, await server.FingerprintAsync());
        Assert.Equal(0, await server.ChangesAsync());
        Assert.Equal(owners, await server.OwnersOfAsync(paths));
        for (int i = 0; i < Pods; i++)
        {
            Dictionary<string, double> held = await HeldAsync(pods[i]);
            Assert.Equal(owners.Where(owner => owner.Value == Member(names[i])).Select(owner => owner.Key).Order(StringComparer.Ordinal), held.Keys.Order(StringComparer.Ordinal));

            // A push that was refused or unanswered may still have arrived.
            Assert.All(held, group => Assert.True(group.Value >= taken[group.Key], $"{group.Key} has {group.Value}, and {taken[group.Key]} was taken"));
        }

        foreach (PushgatewayProcess pod in pods) await pod.DisposeAsync();
        return;

        Task<PushgatewayProcess> StartPodAsync(string name) => PushgatewayProcess.StartAsync(
            $"{addresses[name][0]}:{port.ToString(CultureInfo.InvariantCulture)}", "--persistence.file=" + Path.Combine(volumes.Path, name));

        string Member(string name) => string.Create(CultureInfo.InvariantCulture, $"{name}:{port}");

        async Task PushAsync(string[] own)
        {
            RawHttp? connection = null;
            TimeSpan due = running.Elapsed;
            for (long value = 1; !stop.IsCancellationRequested; value++)
            {
                string path = own[value % own.Length];
                string pod = Volatile.Read(ref restarting);
                int status = 0;
                try
                {
                    connection ??= await RawHttp.ConnectAsync(forward);
                    await connection.SendAsync(ForwardServer.Put(path, $"v {value}\n"));
                    string reply = await connection.ReadReplyAsync();
                    status = ForwardServer.StatusOf(reply);
                    if (reply.Contains("Connection: close", StringComparison.Ordinal)) throw new IOException("the last reply of its connection");
                }
                catch (Exception e) when (e is IOException or SocketException or TimeoutException)
                {
                    connection?.Dispose();
                    connection = null;
                }

                Interlocked.Increment(ref pushes);
                if (status == 200) taken[path] = value;
                else failed.Add((path, status, [pod, Volatile.Read(ref restarting)]));

                // By the clock, so that what a push takes does not lower the rate.
                due += Pace;
                TimeSpan pause = due - running.Elapsed;
                if (pause > TimeSpan.Zero) await Task.Delay(pause);
            }

            connection?.Dispose();
        }
    }

    private static async Task<Dictionary<string, double>> HeldAsync(PushgatewayProcess pod) => Sample().Matches(await pod.MetricsAsync())
        .ToDictionary(match => "/metrics/job/" + match.Groups[1].Value, match => double.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));

    [GeneratedRegex("""^v\{[^}]*job="(j[0-9]+)"[^}]*\} (.+)$""", RegexOptions.Multiline)]
    private static partial Regex Sample();
}
