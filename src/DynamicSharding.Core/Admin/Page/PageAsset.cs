using System.Security.Cryptography;
using System.Text;

namespace DynamicSharding.Admin.Page;

/// <summary>A file of <c>Assets</c>, embedded in the program.</summary>
internal sealed class PageAsset
{
    private PageAsset(string name)
    {
        using Stream stream = typeof(PageAsset).Assembly.GetManifestResourceStream(typeof(PageAsset), "Assets." + name)
            ?? throw new InvalidOperationException($"{name} is not embedded");
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

    /// <summary>Allows exactly this text in a Content-Security-Policy.</summary>
    public string Source { get; }
}
