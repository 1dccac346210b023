using System.Buffers.Text;
using System.Globalization;
using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Forward;

/// <summary>
/// What stands in a request line in place of a target that Kestrel has rules of its own for: a mark and the target in Base64, or the reason
/// why the head is refused. It goes the way of its request, so that nothing of a client that does not read piles up beside it.
/// </summary>
internal static class RejectedTarget
{
    private const string MarkText = "/\\";

    /// <summary>No client can send it: the parser that every head goes through refuses a backslash.</summary>
    public static ReadOnlySpan<byte> Mark => "/\\"u8;

    /// <summary>Follows the mark before a reason; no letter of the encoding.</summary>
    public static ReadOnlySpan<byte> Refused => "!"u8;

    /// <summary>How long the encoding makes a request line at most.</summary>
    public static int MaxLine(int requestLine) => Mark.Length + Base64Url.GetEncodedLength(requestLine);

    /// <param name="target">As Kestrel has it.</param>
    /// <param name="reason">Why the head is refused; none when its target is returned.</param>
    /// <returns>As the client sent it.</returns>
    public static byte[] Decode(string target, out RejectReason reason)
    {
        reason = RejectReason.None;
        if (!target.StartsWith(MarkText, StringComparison.Ordinal)) return Encoding.ASCII.GetBytes(target);
        ReadOnlySpan<char> text = target.AsSpan(MarkText.Length);
        if (!text.StartsWith('!')) return Base64Url.DecodeFromChars(text);
        reason = (RejectReason)int.Parse(text[1..], NumberStyles.None, CultureInfo.InvariantCulture);
        return [];
    }
}
