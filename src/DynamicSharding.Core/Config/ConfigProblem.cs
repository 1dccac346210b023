using System.Globalization;

namespace DynamicSharding.Config;

/// <summary>Something wrong with the configuration, in a sentence that names the key and the remedy.</summary>
/// <param name="Source">The file as it was named, or <c>environment</c>.</param>
/// <param name="Line">From 1; 0 when the problem has no place inside the source.</param>
/// <param name="Column">From 1, in characters.</param>
internal sealed record ConfigProblem(string Source, int Line, int Column, string Message)
{
    public override string ToString() => Line == 0
        ? $"{Source}: {Message}"
        : string.Create(CultureInfo.InvariantCulture, $"{Source}:{Line}:{Column}: {Message}");
}
