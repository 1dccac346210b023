using System.Reflection;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>The program under test: DYNAMIC_SHARDING_BINARY (the NativeAOT binary in the smoke pass), or this solution's build.</summary>
internal static class Binary
{
    public static string RepositoryRoot { get; } = FindRoot();

    public static string Path { get; } = Find();

    /// <summary>The shipped binary, without a JIT that compiles during measurements.</summary>
    public static bool IsNativeAot { get; } = !File.Exists(Path + ".dll");

    /// <summary>Lets the framework-dependent executable find the runtime that these tests run on.</summary>
    public static string DotnetRoot { get; } =
        System.IO.Path.GetFullPath(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));

    private static string Find()
    {
        string? given = Environment.GetEnvironmentVariable("DYNAMIC_SHARDING_BINARY");
        if (!string.IsNullOrEmpty(given))
        {
            Assert.True(File.Exists(given), $"DYNAMIC_SHARDING_BINARY names no file: {given}");
            return given;
        }

        string configuration = typeof(Binary).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        string built = System.IO.Path.Combine(RepositoryRoot, "src/DynamicSharding/bin", configuration, "net10.0/dynamic-sharding");
        Assert.True(File.Exists(built), $"not built: {built}; run dotnet build -c {configuration}");
        return built;
    }

    private static string FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "DynamicSharding.sln"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException($"no DynamicSharding.sln above {AppContext.BaseDirectory}");
    }
}
