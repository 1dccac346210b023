using System.Net;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Fleet;

/// <summary>The edges of this process, their proxies, and what is asked of them.</summary>
internal sealed class SimulatedFleet : IAsyncDisposable
{
    private readonly FleetSettings _settings;
    private readonly TimeProvider _time;
    private readonly LogOutput _log;
    private readonly LoggerFactory _loggers;
    private readonly (int Id, CountingProxy Proxy)[] _proxies;
    private SimulatedEdge[] _edges = [];

    public SimulatedFleet(FleetSettings settings, TimeProvider time)
    {
        _settings = settings;
        _time = time;
        _log = new LogOutput(Console.OpenStandardError(), LogFormat.Logfmt, LogLevelName.Error, time);
        _loggers = new LoggerFactory([_log]);
        _proxies =
        [
            .. settings.Edges.Concat(settings.Proxies)
                .Select(edge => (edge.Id, new CountingProxy(IPEndPoint.Parse(edge.Listen), IPEndPoint.Parse(edge.Agent), time))),
        ];
    }

    /// <returns>The response; null for an empty one.</returns>
    public async Task<object?> ExecuteAsync(FleetCommand command)
    {
        switch (command.Command)
        {
            case "start":
                await StartAsync(command.Edges);
                return null;
            case "stop":
                await StopAsync();
                return null;
            case "apply":
                ServerOptions changed = Read(command.Config!);
                foreach (int index in command.Edges!) _edges[index].Apply(changed with { Consul = changed.Consul with { Addr = _settings.Edges[index].Listen } });
                return null;
            case "rings":
                return _edges.Select(static edge => edge.Ring).GroupBy(static ring => (ring.Fingerprint, ring.Members))
                    .Select(static same => new RingCount(same.Key.Fingerprint, same.Key.Members, same.Count(), same.Count(static ring => ring.IsReady)));
            case "state":
                return _edges.Select(edge => edge.State(command.From));
            case "traffic":
                return _proxies.Select(each => each.Proxy.Between(each.Id, command.From, command.To));
            default:
                throw new ArgumentException($"'{command.Command}' is no command");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        foreach ((_, CountingProxy proxy) in _proxies) proxy.Dispose();
        _loggers.Dispose();
        _log.Dispose();
    }

    /// <summary>All that have not been started, or only the first ones; all at once, as far as the cores allow.</summary>
    private async Task StartAsync(int[]? indexes)
    {
        ServerOptions options = Read(_settings.Config);
        SimulatedEdge[] added =
        [
            .. _settings.Edges.Take(indexes?.Length ?? int.MaxValue).Skip(_edges.Length)
                .Select(edge => new SimulatedEdge(edge.Id, options with { Consul = options.Consul with { Addr = edge.Listen } }, _loggers, _time)),
        ];
        _edges = [.. _edges, .. added];
        await Task.WhenAll(added.Select(static edge => Task.Run(edge.Start)));
    }

    private async Task StopAsync()
    {
        await Task.WhenAll(_edges.Select(static async edge => await edge.DisposeAsync()));
        _edges = [];
    }

    private static ServerOptions Read(string file)
    {
        ConfigResult result = ConfigFile.Load(file, static _ => null);
        return result.Options ?? throw new InvalidDataException(string.Join('\n', result.Errors));
    }
}
