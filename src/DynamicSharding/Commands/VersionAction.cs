using System.CommandLine;
using System.CommandLine.Invocation;
using DynamicSharding.Diagnostics;

namespace DynamicSharding.Commands;

/// <summary><c>--version</c> on standard output, in the form of the Prometheus programs.</summary>
internal sealed class VersionAction : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine($"dynamic-sharding, version {BuildInfo.Current.Version} (revision {BuildInfo.Current.Revision})");
        return ExitCode.Stopped;
    }
}
