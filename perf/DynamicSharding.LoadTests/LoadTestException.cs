namespace DynamicSharding.LoadTests;

/// <summary>The run could not be made, in a sentence for whoever started it.</summary>
internal sealed class LoadTestException(string message) : Exception(message);
