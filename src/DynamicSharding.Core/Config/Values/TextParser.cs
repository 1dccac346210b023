namespace DynamicSharding.Config.Values;

/// <summary>Reads a value from its text. Returns what is wrong with it ("must be ..."), or null when nothing is.</summary>
internal delegate string? TextParser<T>(string text, out T value);
