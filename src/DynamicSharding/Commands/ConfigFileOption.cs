using System.CommandLine;

namespace DynamicSharding.Commands;

/// <summary><c>--config.file</c>, which more than one command takes.</summary>
internal static class ConfigFileOption
{
    public const string DefaultFile = "dynamic-sharding.yml";

    public static Option<string> Create() => new("--config.file")
    {
        Description = "The configuration file.",
        HelpName = "path",
        DefaultValueFactory = _ => DefaultFile,
    };
}
