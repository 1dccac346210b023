using System.Security.Cryptography;
using System.Text;

namespace DynamicSharding.Admin.Page;

/// <summary>A file of <c>Assets</c> that is built into the program.</summary>
internal sealed class PageAsset
{
    private PageAsset(string name)
    {
        using Stream stream = typeof(PageAsset).Assembly.GetManifestResourceStream(typeof(PageAsset), "Assets." + name)
            ?? throw new InvalidOperationException($"{name} is not built in");
        using var reader = new StreamReader(stream);
        Text = reader.ReadToEnd();
        Bytes = Encoding.UTF8.GetBytes(Text);
        Source = $"'sha256-{Convert.ToBase64String(SHA256.HashData(Bytes))}'";
    }

    public static PageAsset Style { get; } = new("page.css");

    public static PageAsset Script { get; } = new("page.js");

    public static PageAsset Icon { get; } = new("icon.svg");

    public string Text { get; }

    public byte[] Bytes { get; }

    /// <summary>How a Content-Security-Policy allows exactly this text.</summary>
    public string Source { get; }
}
