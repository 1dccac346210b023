namespace DynamicSharding.LoadTests;

/// <summary>Why a run is not possible, for the user.</summary>
internal sealed class LoadTestException(string message) : Exception(message);
