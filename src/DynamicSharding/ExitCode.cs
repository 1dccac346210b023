namespace DynamicSharding;

/// <summary>What the process tells whoever started it.</summary>
internal static class ExitCode
{
    /// <summary>Stopped by a signal, or a command that did what was asked.</summary>
    public const int Stopped = 0;

    /// <summary>Could not start: a port was taken, for example.</summary>
    public const int CouldNotStart = 1;

    /// <summary>Wrong flags or a wrong configuration file: trying again will not help.</summary>
    public const int BadConfiguration = 2;
}
