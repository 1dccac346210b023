using System.CommandLine;
using DynamicSharding.Config;

namespace DynamicSharding.Commands;

/// <summary><c>check-config FILE</c>: what a start would say about the file, without starting.</summary>
internal static class CheckConfigCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "The configuration file to check." };
        var command = new Command("check-config", "Check a configuration file: exit code 0 when it is valid, 2 when it is not.") { file };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(file), parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error));
        return command;
    }

    private static int Run(string file, TextWriter output, TextWriter error)
    {
        ConfigResult config = ConfigFile.Load(file, Environment.GetEnvironmentVariable);
        foreach (ConfigProblem problem in config.Errors) error.WriteLine(problem);
        foreach (ConfigProblem warning in config.Warnings) error.WriteLine(warning with { Message = "warning: " + warning.Message });
        if (config.Options is null) return ExitCode.BadConfiguration;

        string discovery = config.Options.Discovery == DiscoveryKind.Consul ? "consul" : "static";
        int servers = config.Options.Pushgateway.Servers.Length;
        output.WriteLine($"{file}: valid, discovery={discovery} servers={servers} warnings={config.Warnings.Length}");
        return ExitCode.Stopped;
    }
}
