namespace DynamicSharding.FunctionalTests.Browser;

/// <summary>Scripts for the browser: the contrast ratio of WCAG 2.1, 1.4.3, of every piece of text that is shown.</summary>
internal static class Contrast
{
    public const string Luminance = """
        const channels = color => color.match(/[\d.]+/g).map(Number);
        const linear = value => { const v = value / 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
        const luminance = color => { const [r, g, b] = channels(color); return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b); };

        """;

    /// <summary>What is below 4.5 to 1.</summary>
    public const string Unreadable = "(() => {" + Luminance + """
        const behind = element => {
          for (let e = element; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if ((channels(color)[3] ?? 1) === 1) return color;
          }
          return "rgb(255, 255, 255)";
        };
        const bad = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const element = walker.currentNode.parentElement;
          if (!walker.currentNode.textContent.trim() || element.closest("svg, script, datalist") || !element.checkVisibility()) continue;
          const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((x, y) => y - x);
          const ratio = (a + 0.05) / (b + 0.05);
          if (ratio < 4.5) bad.push(`${ratio.toFixed(2)}: ${walker.currentNode.textContent.trim()}`);
        }
        return bad;
        })()
        """;
}
