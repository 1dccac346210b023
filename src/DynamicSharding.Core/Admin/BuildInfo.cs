using System.Reflection;
using System.Runtime.InteropServices;

namespace DynamicSharding.Admin;

/// <summary>Version and revision, for --version, the logs, the status API and the build_info metric.</summary>
/// <param name="Revision">The commit, or <c>unknown</c>.</param>
internal sealed record BuildInfo(string Version, string Revision)
{
    public static BuildInfo Current { get; } = FromInformationalVersion(
        typeof(BuildInfo).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown");

    public string Runtime { get; } = RuntimeInformation.FrameworkDescription;

    public string Architecture { get; } = RuntimeInformation.RuntimeIdentifier;

    /// <summary>Splits the <c>version+commit</c> that the SDK writes into the assembly.</summary>
    public static BuildInfo FromInformationalVersion(string text)
    {
        int plus = text.IndexOf('+', StringComparison.Ordinal);
        return plus < 0 ? new BuildInfo(text, "unknown") : new BuildInfo(text[..plus], text[(plus + 1)..]);
    }
}
