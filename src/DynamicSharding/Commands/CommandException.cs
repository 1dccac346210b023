namespace DynamicSharding.Commands;

/// <summary>What a one-shot command says on stderr before it ends with exit code 1.</summary>
internal sealed class CommandException(string message) : Exception(message);
