using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

/// <summary>All results of parsing one head, comparable.</summary>
internal sealed record ParsedHead(
    ParseStatus Status,
    RejectReason Reason,
    RequestMethod Method = RequestMethod.Get,
    bool IsHttp10 = false,
    string Target = "",
    BodyFraming Framing = BodyFraming.None,
    long ContentLength = 0,
    bool KeepAlive = true,
    bool ExpectContinue = false,
    int HeadLength = 0)
{
    public static readonly ParserLimits Limits = new(8192, 32 * 1024, 100);

    public static ParsedHead Of(string head, ParserLimits? limits = null) => Of(Bytes(head), limits);

    public static ParsedHead Of(byte[] head, ParserLimits? limits = null)
    {
        RequestParser parser = default;
        return From(parser.Parse(head, limits ?? Limits), parser, head);
    }

    /// <summary>The same bytes in segments: the parser sees every given prefix first.</summary>
    public static ParsedHead InPieces(byte[] head, IEnumerable<int> cuts, ParserLimits? limits = null)
    {
        RequestParser parser = default;
        foreach (int cut in cuts)
        {
            ParseStatus status = parser.Parse(head.AsSpan(0, cut), limits ?? Limits);
            if (status != ParseStatus.NeedMore) return From(status, parser, head);
        }

        return From(parser.Parse(head, limits ?? Limits), parser, head);
    }

    public static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    private static ParsedHead From(ParseStatus status, in RequestParser parser, byte[] head)
    {
        if (status != ParseStatus.Done) return new ParsedHead(status, parser.Reason);
        string target = Encoding.Latin1.GetString(head, parser.TargetStart, parser.TargetLength);
        return new ParsedHead(
            status, parser.Reason, parser.Method, parser.IsHttp10, target, parser.Framing, parser.ContentLength, parser.KeepAlive,
            parser.ExpectContinue, parser.HeadLength);
    }
}
