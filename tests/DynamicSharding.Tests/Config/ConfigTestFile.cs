using System.Text;
using DynamicSharding.Config;

namespace DynamicSharding.Tests.Config;

/// <summary>Loads text as if it were a file called <c>test.yml</c>, with no environment unless given.</summary>
internal static class ConfigTestFile
{
    public static ConfigResult Parse(string yaml, params (string Name, string Value)[] environment) =>
        ConfigFile.Parse("test.yml", Encoding.UTF8.GetBytes(yaml), name => environment.FirstOrDefault(variable => variable.Name == name).Value);

    /// <summary>The one default that is warned about, in every file without admin_listen_addr and users.</summary>
    public const string OpenDefault = "test.yml: admin_listen_addr: is :9293 by default, and whoever reaches this machine can read the configuration, without a password; "
        + "write admin_listen_addr: 127.0.0.1:9293, or set admin.basic_auth_users";

    /// <summary>All but <see cref="OpenDefault"/>.</summary>
    public static string[] Warnings(ConfigResult result) => [.. result.Warnings.Select(warning => warning.ToString()).Where(warning => warning != OpenDefault)];

    /// <summary>Fails the test with every error when there is one.</summary>
    public static ServerOptions Options(string yaml, params (string Name, string Value)[] environment)
    {
        ConfigResult result = Parse(yaml, environment);
        Assert.Equal("", string.Join('\n', result.Errors));
        return result.Options!;
    }

    public static string[] Errors(string yaml, params (string Name, string Value)[] environment) =>
        [.. Parse(yaml, environment).Errors.Select(error => error.ToString())];

    /// <summary>A file that holds one key, nested as its dots say, beside what makes any file valid.</summary>
    public static string WithKey(string path, string value)
    {
        var yaml = new StringBuilder();
        string[] names = path.Split('.');
        for (int i = 0; i < names.Length; i++)
        {
            yaml.Append(' ', 2 * i).Append(names[i]).Append(':');
            yaml.Append(i == names.Length - 1 ? " " + value : "").Append('\n');
        }

        return path.StartsWith("pushgateway.", StringComparison.Ordinal)
            ? path == "pushgateway.servers" ? yaml.ToString() : yaml.Append("  servers: [a]\n").ToString()
            : yaml.Append("pushgateway:\n  servers: [a]\n").ToString();
    }

    public static string RepositoryFile(string path)
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "DynamicSharding.sln"))) directory = directory.Parent;
        return Path.Combine(directory!.FullName, path);
    }
}
