using System.Collections;
using Microsoft.Playwright;

namespace DynamicSharding.FunctionalTests.Browser;

/// <summary>Debian's Chromium without a window, for all tests of a class. Nothing is downloaded, and it talks to loopback only.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private const string Program = "/usr/bin/chromium";
    private readonly string _home = Directory.CreateTempSubdirectory("dynamic-sharding-browser-").FullName;
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async Task InitializeAsync()
    {
        Assert.True(File.Exists(Program), $"{Program} is missing; run tests/install-peers.sh");
        _playwright = await Playwright.CreateAsync();
        Assertions.SetDefaultExpectTimeout(30_000); // as of the pages
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = Program,
            Headless = true,
            Args =
            [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync",
            ],
            Env = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
                .ToDictionary(pair => (string)pair.Key, pair => (string)pair.Key == "HOME" ? _home : (string)(pair.Value ?? "")),
            Timeout = 60_000,
        });
    }

    /// <summary>A fresh profile with one page, which keeps what the browser complains of.</summary>
    public async Task<Visit> VisitAsync(BrowserNewContextOptions? options = null) => await Visit.StartAsync(_browser!, options ?? new());

    public async Task DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
        Directory.Delete(_home, recursive: true);
    }
}
