namespace DynamicSharding.Commands;

/// <summary>What a one-shot command says on stderr, and the exit code it ends with.</summary>
internal sealed class CommandException(string message, int exitCode = ExitCode.BadConfiguration) : Exception(message)
{
    /// <summary><see cref="ExitCode.BadConfiguration"/> for what was typed, <see cref="ExitCode.Failed"/> for what could not be reached.</summary>
    public int ExitCode { get; } = exitCode;
}
