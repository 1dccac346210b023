using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json;

namespace DynamicSharding.Tests.Discovery;

/// <summary>The registration half of an agent: it lists what was registered, and can reject. Its node is "ours".</summary>
internal sealed class FakeAgent : IAsyncDisposable
{
    private readonly FakeServer _server;

    public FakeAgent() => _server = new FakeServer(RespondAsync);

    /// <summary>By id, as JSON of the listing.</summary>
    public ConcurrentDictionary<string, string> Services { get; } = [];

    public ConcurrentQueue<string> Puts { get; } = [];

    /// <summary>Given a registration's JSON; null accepts it.</summary>
    public Func<string, (int Status, string Text)?> Reject { get; set; } = static _ => null;

    /// <summary>Ids of services whose check somebody has deregistered.</summary>
    public ConcurrentDictionary<string, bool> Unchecked { get; } = [];

    /// <summary>It accepts a registration and does not keep it.</summary>
    public bool Forgets { get; set; }

    /// <summary>What its list of registrations fails with; null if it does not.</summary>
    public (int Status, string Text)? ReadFailure { get; set; }

    /// <summary>Rows of other agents, for a query of the catalog.</summary>
    public string Catalog { get; set; } = "";

    public string Address => _server.Address;

    public int Reads => _server.Requests.Count(static r => r.StartsWith("GET /v1/agent/services", StringComparison.Ordinal));

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private Task RespondAsync(string request, Socket socket, CancellationToken ct)
    {
        const string Deregister = "PUT /v1/agent/service/deregister/";
        if (request.StartsWith("GET /v1/health/", StringComparison.Ordinal)) return FakeServer.Reply(socket, $"[{Catalog}]", 200, "X-Consul-Index: 9\r\n");
        if (request.StartsWith("GET /v1/agent/checks", StringComparison.Ordinal))
        {
            return FakeServer.Reply(socket, "{" + string.Join(',', Services.Keys.Where(id => !Unchecked.ContainsKey(id)).Select(static id => $$"""
                "c-{{id}}":{"Node":"ours","ServiceID":"{{id}}"}
                """)) + "}");
        }

        if (request.StartsWith("GET", StringComparison.Ordinal))
        {
            if (ReadFailure is { } failure) return FakeServer.Reply(socket, failure.Text, failure.Status);
            return FakeServer.Reply(socket, "{" + string.Join(',', Services.Select(static s => $"\"{s.Key}\":{s.Value}")) + "}");
        }

        if (request.StartsWith(Deregister, StringComparison.Ordinal))
        {
            string id = request[Deregister.Length..request.IndexOf(' ', Deregister.Length)];
            Puts.Enqueue("-" + id);
            return FakeServer.Reply(socket, "", Services.TryRemove(id, out _) ? 200 : 404);
        }

        string json = request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        Puts.Enqueue(json);
        if (Reject(json) is { } rejection) return FakeServer.Reply(socket, rejection.Text, rejection.Status);
        if (Forgets) return FakeServer.Reply(socket, "");
        using JsonDocument document = JsonDocument.Parse(json);
        JsonElement root = document.RootElement;
        Unchecked.TryRemove(root.GetProperty("ID").GetString()!, out _);
        Services[root.GetProperty("ID").GetString()!] = Listed(
            root.GetProperty("Name").GetString()!, root.GetProperty(nameof(Address)).GetString()!, root.GetProperty("Port").GetInt32(), root.GetProperty("Meta").GetRawText());
        return FakeServer.Reply(socket, "");
    }

    public static string Listed(string name, string address, int port, string meta) =>
        $$"""{"ID":"{{address}}_{{port}}","Service":"{{name}}","Address":"{{address}}","Port":{{port}},"Meta":{{meta}}}""";
}
