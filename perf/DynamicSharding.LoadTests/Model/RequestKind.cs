namespace DynamicSharding.LoadTests.Model;

/// <summary>One kind of request among those that a scenario sends (NBomber's step), and the answer that is right.</summary>
/// <param name="Weight">Its share among the weights of the scenario's kinds.</param>
/// <param name="Path"><see cref="GroupPlaceholder"/> stands for the number of a group.</param>
/// <param name="ChunkBytes">The size of the chunks; 0 frames the body with Content-Length.</param>
/// <param name="Raw">The whole request instead of method, path and body: what no correct client would send.</param>
internal sealed record RequestKind(
    string Name, int Weight, string Method, string Path, int BodyBytes, int ChunkBytes, string? Raw, int ExpectedStatus)
{
    public const string GroupPlaceholder = "{group}";
}
