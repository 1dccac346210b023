using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace DynamicSharding.FunctionalTests.Browser;

/// <summary>One person's look at the page.</summary>
public sealed class Visit : IAsyncDisposable
{
    private readonly IBrowserContext _context;

    private Visit(IBrowserContext context, IPage page)
    {
        _context = context;
        Page = page;
        page.Console += (_, message) => Keep(message.Type is "error" or "warning", message.Text);
        page.PageError += (_, error) => Keep(true, error);
        page.Dialog += (_, dialog) => Keep(true, "dialog: " + dialog.Message);
        page.Request += (_, request) => Requests.Add(request.Url);
    }

    public IPage Page { get; }

    /// <summary>Errors and warnings of the console, violations of the policy among them; scripts that failed; dialogs.</summary>
    public ConcurrentBag<string> Complaints { get; } = [];

    public ConcurrentBag<string> Requests { get; } = [];

    public static async Task<Visit> StartAsync(IBrowser browser, BrowserNewContextOptions options)
    {
        IBrowserContext context = await browser.NewContextAsync(options);
        context.SetDefaultTimeout(30_000);
        return new Visit(context, await context.NewPageAsync());
    }

    /// <summary>No console errors, and no requests except to the servers.</summary>
    public void AssertClean(params string[] addresses)
    {
        Assert.Empty(Complaints);
        Assert.All(Requests, url => Assert.Contains(new Uri(url).Authority, addresses));
    }

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();

    private void Keep(bool bad, string text)
    {
        if (bad) Complaints.Add(text);
    }
}
