namespace DynamicSharding.Config;

/// <summary>What the file and the flags call log levels and formats.</summary>
internal static class LogNames
{
    public static readonly (string Name, LogLevelName Value)[] Levels =
        [("debug", LogLevelName.Debug), ("info", LogLevelName.Info), ("warn", LogLevelName.Warn), ("error", LogLevelName.Error)];

    public static readonly (string Name, LogFormat Value)[] Formats = [("logfmt", LogFormat.Logfmt), ("json", LogFormat.Json)];
}
