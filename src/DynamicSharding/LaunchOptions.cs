using DynamicSharding.Config;
using DynamicSharding.Diagnostics;

namespace DynamicSharding;

/// <summary>What the command line and the first reading of the file came to.</summary>
/// <param name="ConfigFile">As the operator wrote it: a reload reads it again.</param>
/// <param name="Level">From the flag, which wins over the file at every reload; null when not given.</param>
/// <param name="Options">The configuration with the flags applied.</param>
/// <param name="Logs">Already writing, at the level of <paramref name="Options"/>; its creator disposes it.</param>
/// <param name="Signals">Caught since before the configuration was read.</param>
internal sealed record LaunchOptions(string ConfigFile, LogLevelName? Level, ServerOptions Options, LogOutput Logs, Signals Signals)
{
    /// <summary>Reads the file again, with the flags applied as at the start.</summary>
    public ConfigResult Load()
    {
        ConfigResult loaded = Config.ConfigFile.Load(ConfigFile, Environment.GetEnvironmentVariable);
        return loaded.Options is { } options && Level is { } level
            ? loaded with { Options = options with { Log = options.Log with { Level = level } } }
            : loaded;
    }
}
