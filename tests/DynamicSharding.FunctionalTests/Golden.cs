namespace DynamicSharding.FunctionalTests;

/// <summary>Files next to the tests.</summary>
internal static class Golden
{
    public static string Path(string name) => System.IO.Path.Combine(AppContext.BaseDirectory, "Golden", name);
}
