using System.Reflection;

namespace DynamicSharding.Diagnostics;

/// <summary>What this build is, for --version, the logs and the build_info metric.</summary>
internal static class BuildInfo
{
    /// <summary>The SDK writes <c>version+commit</c>, or the version alone when it built outside a repository.</summary>
    private static readonly string[] Parts =
        (typeof(BuildInfo).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown").Split('+', 2);

    public static string Version => Parts[0];

    public static string Revision => Parts.Length > 1 ? Parts[1] : "unknown";
}
