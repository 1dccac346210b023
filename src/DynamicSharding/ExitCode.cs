namespace DynamicSharding;

/// <summary>What the process tells whoever started it.</summary>
internal static class ExitCode
{
    /// <summary>Stopped by a signal, or a command that did what was asked.</summary>
    public const int Stopped = 0;

    /// <summary>Could not start, because a port was taken for example; or could not go on, because the listening socket died.</summary>
    public const int Failed = 1;

    /// <summary>Wrong flags or a wrong configuration file: trying again will not help.</summary>
    public const int BadConfiguration = 2;
}
