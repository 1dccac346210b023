using System.Reflection;
using System.Runtime.InteropServices;

namespace DynamicSharding.Admin;

/// <summary>What is running, for --version, the logs, the status API and the build_info metric.</summary>
/// <param name="Revision">The commit; <c>unknown</c> where the build did not know it.</param>
internal sealed record BuildInfo(string Version, string Revision)
{
    /// <summary>This build.</summary>
    public static BuildInfo Current { get; } = FromInformationalVersion(
        typeof(BuildInfo).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown");

    public string Runtime { get; } = RuntimeInformation.FrameworkDescription;

    public string Architecture { get; } = RuntimeInformation.RuntimeIdentifier;

    /// <summary>Takes apart what the SDK writes into the assembly: <c>version+commit</c>.</summary>
    public static BuildInfo FromInformationalVersion(string text)
    {
        int plus = text.IndexOf('+', StringComparison.Ordinal);
        return plus < 0 ? new BuildInfo(text, "unknown") : new BuildInfo(text[..plus], text[(plus + 1)..]);
    }
}
