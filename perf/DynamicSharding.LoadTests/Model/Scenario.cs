using System.Collections.Immutable;

namespace DynamicSharding.LoadTests.Model;

/// <summary>One population of clients: what they send, how often, and the expected responses.</summary>
/// <param name="Connections">Concurrent connections. Requests that are due while all are busy wait, and their latency includes the wait.</param>
/// <param name="Pipeline">Requests per write; they are due together.</param>
/// <param name="FreshConnections">One connection per write, closed after its replies.</param>
/// <param name="Trickle">How slowly a request is written, or null.</param>
/// <param name="Groups">How many different groups the pushes name.</param>
internal sealed record Scenario(
    string Name,
    int Connections,
    int Pipeline,
    bool FreshConnections,
    Trickle? Trickle,
    int Groups,
    TimeSpan Timeout,
    ImmutableArray<LoadSimulation> Load,
    ImmutableArray<RequestKind> Requests,
    ImmutableArray<Threshold> Thresholds)
{
    public TimeSpan Duration => Load.Aggregate(TimeSpan.Zero, static (sum, simulation) => sum + simulation.During);

    public double PeakRate => Load.Max(static simulation => simulation.PeakRate);

    public Scenario Scaled(double time, double rate) =>
        this with { Load = [.. Load.Select(simulation => simulation.Scaled(time, rate))] };
}

/// <summary>One kind of a scenario's requests (NBomber's step), and the expected response.</summary>
/// <param name="Weight">Its share among the weights of the scenario's kinds.</param>
/// <param name="Path"><see cref="GroupPlaceholder"/> stands for the number of a group.</param>
/// <param name="ChunkBytes">The size of the chunks; 0 frames the body with Content-Length.</param>
/// <param name="Raw">The whole request instead of method, path and body, for malformed requests.</param>
internal sealed record RequestKind(
    string Name, int Weight, string Method, string Path, int BodyBytes, int ChunkBytes, string? Raw, int ExpectedStatus)
{
    public const string GroupPlaceholder = "{group}";
}

/// <summary>A client on a slow line: sends some bytes, then pauses.</summary>
internal sealed record Trickle(int Bytes, TimeSpan Every);
