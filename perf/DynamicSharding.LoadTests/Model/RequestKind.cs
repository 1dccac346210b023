namespace DynamicSharding.LoadTests.Model;

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
