using System.ComponentModel;
using System.Diagnostics;

namespace DynamicSharding.Tests.Monitoring;

/// <summary>Prometheus' own judge of rules and configurations.</summary>
internal static class Promtool
{
    /// <summary>Where tests/install-peers.sh unpacked it, else whichever the machine has.</summary>
    private const string Unpacked = "/usr/local/lib/dynamic-sharding-tests/promtool-http";

    public static async Task<(int ExitCode, string Output)> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo(File.Exists(Unpacked) ? Unpacked : "promtool", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Docs.Repository.Root,
        };
        try
        {
            using Process promtool = Process.Start(start)!;
            Task<string> errors = promtool.StandardError.ReadToEndAsync();
            string output = await promtool.StandardOutput.ReadToEndAsync() + await errors;
            await promtool.WaitForExitAsync();
            return (promtool.ExitCode, output);
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("promtool is not installed: run tests/install-peers.sh", e);
        }
    }
}
