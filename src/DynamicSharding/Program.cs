using System.CommandLine;
using DynamicSharding.Commands;

var root = new RootCommand("Redirects Prometheus Pushgateway pushes to the gateway that owns the group.")
{
    LookupCommand.Create(),
    SimulateCommand.Create(),
};
return await root.Parse(args).InvokeAsync().ConfigureAwait(false);
