using DynamicSharding.FunctionalTests.Peers;
using Xunit.Abstractions;

namespace DynamicSharding.FunctionalTests;

/// <summary>
/// <c>tests/lab.sh up</c> says what it installs before it does, and installs nothing that is there and nothing that it does not need. apt is a
/// stand-in that records its arguments; the folders that an installation writes to are others, in a mount namespace.
/// </summary>
public sealed class LabInstallTests(ITestOutputHelper output) : IDisposable
{
    private const string Announcement = "lab: installs with apt-get, as root: ";
    private const string Suite = "lab: adds Debian's bullseye suite to the sources of apt";

    private static readonly string[] Needed = ["consul", "prometheus", "prometheus-pushgateway", "curl"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_is_there_is_not_installed()
    {
        string said = await UpAsync(Needed);
        Assert.DoesNotContain("installs", said, StringComparison.Ordinal);
        Assert.DoesNotContain("apt-get", said, StringComparison.Ordinal);
    }

    /// <summary>Packages have the names of the programs.</summary>
    [Theory]
    [InlineData("curl")]
    [InlineData("prometheus-pushgateway")]
    [InlineData("consul", "prometheus-pushgateway")]
    public async Task What_is_missing_is_announced_and_then_installed_alone(params string[] missing)
    {
        string said = await UpAsync(Needed.Except(missing));
        string[] lines = said.Split('\n');
        int announced = Array.FindIndex(lines, static line => line.StartsWith(Announcement, StringComparison.Ordinal));
        Assert.True(announced >= 0, said);
        Assert.Equal(missing, Words(lines[announced][Announcement.Length..]));
        Assert.Equal(missing.Contains("consul"), said.Contains(Suite, StringComparison.Ordinal));
        Assert.DoesNotContain("unpacks", said, StringComparison.Ordinal);

        string[] apt = [.. lines.Where(static line => line.StartsWith("apt-get ", StringComparison.Ordinal))];
        string install = Assert.Single(apt, static line => Words(line).Contains("install"));
        Assert.Equal(missing, Words(install[(install.IndexOf("--no-install-recommends", StringComparison.Ordinal) + "--no-install-recommends".Length)..]));
        Assert.All(apt, line => Assert.True(Array.IndexOf(lines, line) > announced, said));
    }

    /// <summary>It is not installed: Debian's own knows no Consul, and may be somebody's.</summary>
    [Fact]
    public async Task A_missing_Prometheus_is_unpacked_beside_and_said()
    {
        string[] lines = (await UpAsync(Needed.Except(["prometheus"]))).Split('\n');
        int[] said = [.. ((string[])[Announcement + "prometheus ", Suite, "lab: unpacks Prometheus under /usr/local/lib", "apt-get "])
            .Select(start => Array.FindIndex(lines, line => line.StartsWith(start, StringComparison.Ordinal)))];
        Assert.All(said, static line => Assert.True(line >= 0));
        Assert.Equal(said.Order(), said);
        string[] apt = [.. lines.Where(static line => line.StartsWith("apt-get ", StringComparison.Ordinal))];
        Assert.DoesNotContain(apt, static line => Words(line).Contains("install"));
        Assert.Single(apt, static line => line.EndsWith(" download prometheus/bullseye", StringComparison.Ordinal));
    }

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <param name="present">Programs that are there; the others appear when apt-get is asked for them.</param>
    private async Task<string> UpAsync(IEnumerable<string> present)
    {
        string bin = Directory.CreateDirectory(Path.Combine(_folder.Path, "bin")).FullName, log = Path.Combine(_folder.Path, "log");

        // What only other tests need is missing, and stays so.
        string[] hidden = ["haproxy", "nginx", "zsh", "apt-get", "apt-cache", "dpkg-deb", "systemctl", "sudo", "dotnet", .. Needed];
        foreach (string program in Directory.EnumerateFiles("/usr/bin"))
        {
            if (!hidden.Contains(Path.GetFileName(program))) File.CreateSymbolicLink(Path.Combine(bin, Path.GetFileName(program)), program);
        }

        foreach (string program in present) Program(program, "# consul_sd\n");
        Program("apt-cache", "echo '  Candidate: 1'\n");
        Program("systemctl", "");
        Program("promtool", "# consul_sd\n", "tree/usr/bin");
        Program("prometheus", "# consul_sd\n", "tree/usr/bin");
        Program("dpkg-deb", $"exec tar -c -C {_folder.Path}/tree ./usr\n");
        Program("apt-get", $"""
            echo "apt-get $*" >>{log}
            case " $* " in *' download '*) exec touch prometheus_1.deb ;; esac
            for word in "$@"; do
                case $word in {string.Join(" | ", Needed)}) printf '#!/bin/sh\n# consul_sd\n' >"{bin}/$word"; chmod 755 "{bin}/$word" ;; esac
            done

            """);

        // The folder of the lab cannot be made, so that it ends after the installation. One file has everything in order.
        string run = $"""
            find {_folder.Path} -type f -exec chmod 755 {"{}"} +
            for folder in /usr/sbin /usr/local/lib /var/lock /etc/apt; do mount --bind "$(mktemp -d -p {_folder.Path})" "$folder"; done
            mkdir -p /etc/apt/sources.list.d /etc/apt/preferences.d
            echo 'deb http://127.0.0.1/debian stable main' >/etc/apt/sources.list
            exec env PATH={bin} LAB_DIR=/dev/null/lab DYNAMIC_SHARDING_BINARY=/bin/true bash {Path.Combine(Binary.RepositoryRoot, "tests/lab.sh")} up >>{log} 2>&1
            """;
        await using ChildProcess lab = await ChildProcess.StartAsync(
            "lab.sh", "unshare", ["--user", "--map-root-user", "--mount", "bash", "-euc", run]);
        int code = await lab.WaitForExitAsync(TimeSpan.FromSeconds(60));
        string said = File.Exists(log) ? await File.ReadAllTextAsync(log) : "";
        output.WriteLine($"{code}: {lab.Output}\n{said}");
        Assert.Equal(1, code);
        Assert.Matches("mkdir: .*/dev/null|lab: ports already in use", said);
        return said;

        void Program(string name, string script, string folder = "bin")
        {
            string into = Directory.CreateDirectory(Path.Combine(_folder.Path, folder)).FullName;
            File.WriteAllText(Path.Combine(into, name), "#!/bin/sh\n" + script);
        }
    }
}
