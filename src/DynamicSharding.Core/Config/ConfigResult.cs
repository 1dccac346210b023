using System.Collections.Immutable;

namespace DynamicSharding.Config;

/// <summary>What a configuration file came to.</summary>
/// <param name="Options">Null exactly when there are errors.</param>
/// <param name="Errors">All of them, in the file's order.</param>
/// <param name="Warnings">What works, but hardly as meant.</param>
internal sealed record ConfigResult(ServerOptions? Options, ImmutableArray<ConfigProblem> Errors, ImmutableArray<ConfigProblem> Warnings);
