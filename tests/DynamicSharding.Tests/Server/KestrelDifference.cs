using System.Text.RegularExpressions;
using DynamicSharding.Http;
using DynamicSharding.Server;
using DynamicSharding.Tests.Http;

namespace DynamicSharding.Tests.Server;

/// <summary>Where our parser and Kestrel's differ, and why. Any other difference is a defect.</summary>
internal static partial class KestrelDifference
{
    private static readonly Known[] List =
    [
        // We reject, Kestrel accepts.
        new("LF alone", "RFC 9112 2.2 permits it; two parties that differ on where a line ends let a request through unseen",
            Answer.Refuses, Answer.Takes, LoneLineFeed(), RejectReason.BadRequestLine, RejectReason.BadFieldValue, RejectReason.BadFieldLine),
        new("control in the head", "RFC 9110 5.5 calls it invalid, and a target with one cannot be put into a Location",
            Answer.Refuses, Answer.Takes, Control(), RejectReason.BadRequestLine, RejectReason.BadFieldValue),
        new("no token before the colon", "RFC 9112 5: a field name is a token; Kestrel takes separators, controls and 8-bit bytes in it",
            Answer.Refuses, Answer.Takes, NoTokenName(), RejectReason.BadFieldName),
        new("#, \\ or HTAB in the target", "RFC 9112 3.2: none belongs there; a client would cut or turn the Location at it",
            Answer.Refuses, Answer.Takes, NotInTarget(), RejectReason.BadTarget),
        new("signed length", "RFC 9110 8.6: digits only", Answer.Refuses, Answer.Takes, SignedLength(), RejectReason.BadContentLength),
        new("length and chunks", "RFC 9112 6.1: it smells of smuggling; Kestrel goes by the chunks",
            Answer.Refuses, Answer.Takes, Chunks(), RejectReason.ContentLengthAndTransferEncoding, RejectReason.BadContentLength, RejectReason.DuplicateContentLength),
        new("more than chunked", "RFC 9112 6.1: we can frame chunked alone; Kestrel looks at the last coding only",
            Answer.Refuses, Answer.Takes, MoreThanChunked(), RejectReason.BadTransferEncoding),
        new("chunks in HTTP/1.0", "RFC 9112 6.1: its framing is faulty", Answer.Refuses, Answer.Takes, ChunksInHttp10(), RejectReason.TransferEncodingInHttp10),

        new("more than one SP before the version", "RFC 9112 3.2: a space is never repaired", Answer.Refuses, Answer.Takes, TwoSpaces(), RejectReason.BadVersion),

        // We accept, Kestrel rejects.
        new("HTTP/1.0 without a length", "RFC 9112 6.3: no length is no content; Kestrel wants one for PUT and POST",
            Answer.Takes, Answer.Refuses, Http10Write()),
        new("8-bit bytes", "RFC 9110 5.5: obs-text is opaque in a value, and Pushgateway takes it in a path; the Location carries it encoded",
            Answer.Takes, Answer.Refuses, EightBit()),

        new("absolute-form that differs from Host", "RFC 9112 3.2.2: the target wins and only its path matters here",
            Answer.Takes, Answer.Refuses, AbsoluteForm()),
        new("characters of a Host", "RFC 3986 3.2.2 has sub-delims and % in a reg-name; we put no Host into anything",
            Answer.Takes, Answer.Refuses, OddHost()),

        new("HTTP/1.2 and up", "RFC 9110 2.5: a higher minor version is served as the highest that is known",
            Answer.Takes, Answer.Refuses, HigherMinor()),
        new("%00 in a path in absolute form", "the group's rules decide, as Pushgateway's do; Kestrel does not look into that form",
            Answer.Refuses, Answer.Takes, EncodedNul(), RejectReason.BadTarget),
        new("blank behind a chunk size", "RFC 9112 7.1.1 has it before an extension; nginx, HAProxy and Go take it without one",
            Answer.Takes, Answer.Ends, BlankBehindSize()) { Where = Place.BodyBefore },
        new("8-bit bytes in a trailer", "they are skipped unread; Kestrel ends the connection", Answer.Takes, Answer.Ends, EightBit()) { Where = Place.BodyBefore },

        // We close the connection, Kestrel keeps it.
        new("Expect", "RFC 9110 10.1.1: after our early answer the client may send its content or not; no byte tells which",
            Answer.Ends, Answer.Takes, Expectation()) { Where = Place.RequestBefore },
        new("content of a GET", "RFC 9110 9.3.1: it has no meaning; an error in it must not meet a request of another client",
            Answer.Ends, Answer.Takes, GetWithContent()) { Where = Place.RequestBefore },
        new("content of a GET", "the same, and what came next was wrong",
            Answer.Ends, Answer.Refuses, GetWithContent()) { Where = Place.RequestBefore },
        new("LF alone in the framing of a body", "RFC 9112 7.1 does not permit it", Answer.Ends, Answer.Takes, LoneLineFeed(), RejectReason.BadChunk) { Where = Place.BodyBefore },
        new("LF alone in the framing of a body", "the same, and what came next was wrong",
            Answer.Ends, Answer.Refuses, LoneLineFeed(), RejectReason.BadChunk) { Where = Place.BodyBefore },
        new("control in a trailer", "RFC 9110 5.5", Answer.Ends, Answer.Takes, Control(), RejectReason.BadChunk) { Where = Place.BodyBefore },
        new("Expect", "the same, and what came next was wrong", Answer.Ends, Answer.Refuses, Expectation()) { Where = Place.RequestBefore },
    ];

    private enum Answer
    {
        Takes,
        Refuses,

        /// <summary>No further response.</summary>
        Ends,
    }

    /// <summary>Where the cause of a difference must be.</summary>
    private enum Place
    {
        Request,
        BodyBefore,
        RequestBefore,
    }

    /// <summary>Every class; one that no stream shows anymore must go.</summary>
    public static IEnumerable<string> Classes => List.Select(known => known.Title);

    /// <returns>Null if both agree; otherwise the class, or a text with a question mark if there is none.</returns>
    public static string? Of(string stream, IReadOnlyList<ResponseText> ourAnswers, RejectReason reason, IReadOnlyList<ResponseText> theirAnswers)
    {
        int[] ours = [.. ourAnswers.Select(answer => answer.Status)];
        int[] theirs = [.. theirAnswers.Select(answer => answer.Status)];
        SessionTrace? trace = null;
        for (int i = 0; i < Math.Max(ours.Length, theirs.Length); i++)
        {
            // The router's rejects are not the parser's: an unknown method or a malformed path closes our connection, not Kestrel's. A bad
            // chunk has no response; if it is the last reason, the reject before it was the router's.
            bool last = i == ours.Length - 1;
            bool byRouter = last && ours[i] == 400 && reason is RejectReason.BadPercentEncoding or RejectReason.DotSegment or RejectReason.BlankLabelValue or RejectReason.BadJobBase64 or RejectReason.BadChunk;
            if (byRouter || (i < ours.Length && ours[i] == 501)) return null;

            Answer our = i >= ours.Length ? Answer.Ends : ours[i] is 200 or 307 or 404 or 405 ? Answer.Takes : Answer.Refuses;
            Answer their = i >= theirs.Length ? Answer.Ends : theirs[i] == 307 ? Answer.Takes : Answer.Refuses;
            if (our == their)
            {
                if (our != Answer.Takes || OurTarget(ourAnswers[i]) is not { } target) continue;
                string same = TheirTarget(theirAnswers[i], withQuery: ours[i] == 307);
                if (target == same) continue;
                return $"? answer {i}: our target is {target}, Kestrel's {same}";
            }

            trace ??= new SessionTrace(stream);
            foreach (Known known in List)
            {
                if (known.Ours != our || known.Theirs != their || (known.Reasons.Length > 0 && !known.Reasons.Contains(reason))) continue;
                string text = known.Where switch
                {
                    Place.Request => trace.Request(i, served: our == Answer.Takes),
                    Place.BodyBefore => trace.BodyBefore(i),
                    _ => trace.Request(i - 1, served: true),
                };
                if (known.Cause.IsMatch(text)) return known.Title;
            }

            return $"? answer {i}: we {our} ({reason}), Kestrel {their}";
        }

        return null;
    }

    /// <returns>Null if the response names none.</returns>
    private static string? OurTarget(ResponseText answer)
    {
        const string Start = $"http://{SessionPeer.Gateway}";
        if (answer.Fields.TryGetValue("Location", out string? location)) return location[Start.Length..];
        const string Text = $"nextUrl:{Start}";
        return answer.Body.StartsWith(Text, StringComparison.Ordinal) ? answer.Body[Text.Length..] : null;
    }

    /// <summary>In origin-form, with the only change that our router makes to a path, like Pushgateway's: "//" becomes "/".</summary>
    private static string TheirTarget(ResponseText answer, bool withQuery)
    {
        string target = Authority().Replace(Uri.UnescapeDataString(answer.Fields["Location"]), "");
        int query = target.IndexOf('?', StringComparison.Ordinal);
        if (query < 0) query = target.Length;
        return Slashes().Replace(target[..query], "/") + (withQuery ? target[query..] : "");
    }

    [GeneratedRegex("/{2,}")]
    private static partial Regex Slashes();

    [GeneratedRegex(@"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")]
    private static partial Regex Authority();

    /// <summary>Also at the very beginning of a request: behind a body whose last byte is a CR.</summary>
    [GeneratedRegex(@"(?<!\r)\n")]
    private static partial Regex LoneLineFeed();

    [GeneratedRegex(@"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]|\r(?!\n)")]
    private static partial Regex Control();

    [GeneratedRegex(@"\n[^:\r\n]*[^!#$%&'*+\-.^_`|~0-9A-Za-z:\r\n][^:\r\n]*:")]
    private static partial Regex NoTokenName();

    [GeneratedRegex(@"[!#$%&'*+\-.^_`|~0-9A-Za-z] [^ \r\n]*[#\\\t]")]
    private static partial Regex NotInTarget();

    [GeneratedRegex(@"(?i)\ncontent-length:[ \t]*[+-][0-9]")]
    private static partial Regex SignedLength();

    [GeneratedRegex(@"(?i)\ntransfer-encoding:[ \t]*chunked")]
    private static partial Regex Chunks();

    [GeneratedRegex(@"(?is)\ntransfer-encoding:([^\r\n]*,|.*\ntransfer-encoding:)")]
    private static partial Regex MoreThanChunked();

    [GeneratedRegex(@"(?is)HTTP/1\.0\r.*\ntransfer-encoding:[ \t]*chunked")]
    private static partial Regex ChunksInHttp10();

    [GeneratedRegex(@"(PUT|POST) [^\r\n]* HTTP/1\.0\r\n")]
    private static partial Regex Http10Write();

    [GeneratedRegex(@"HTTP/1\.[2-9]\r")]
    private static partial Regex HigherMinor();

    [GeneratedRegex(@"(\A|\n)[0-9A-Fa-f]+[ \t]+(\r|;)")]
    private static partial Regex BlankBehindSize();

    [GeneratedRegex(@"%00")]
    private static partial Regex EncodedNul();

    [GeneratedRegex(@"  +HTTP/1")]
    private static partial Regex TwoSpaces();

    [GeneratedRegex(@"(?i)[A-Z]+ https?://")]
    private static partial Regex AbsoluteForm();

    [GeneratedRegex(@"(?i)\nhost:(?![ \t]*[a-z0-9.-]*(:[0-9]+)?[ \t]*\r)")]
    private static partial Regex OddHost();

    [GeneratedRegex(@"[\x80-\xFF]")]
    private static partial Regex EightBit();

    [GeneratedRegex(@"(?is)\A(\r\n)*GET .*\n(content-length:[ \t]*0*[1-9]|transfer-encoding:[ \t]*chunked)")]
    private static partial Regex GetWithContent();

    [GeneratedRegex(@"(?i)\nexpect:[ \t]*100-continue")]
    private static partial Regex Expectation();

    /// <param name="Cause">Must be in the request, or in the body before it, for the class to apply.</param>
    /// <param name="Reasons">Our reasons, one of which must be the cause; empty if we do not reject.</param>
    private sealed record Known(string Name, string Why, Answer Ours, Answer Theirs, Regex Cause, params RejectReason[] Reasons)
    {
        public Place Where { get; init; }

        public string Title => $"{Name}: we {Ours}, Kestrel {Theirs}";
    }
}

/// <summary>
/// Maps the bytes of a stream to requests by feeding them to our session one by one. The cause of a difference about a response must be in the
/// bytes of its request.
/// </summary>
internal sealed class SessionTrace
{
    private readonly string _stream;
    private readonly List<int> _starts = [0];
    private readonly List<int> _headEnds = [];

    public SessionTrace(string stream)
    {
        _stream = stream;
        SessionPeer peer = new();
        byte[] bytes = ParsedHead.Bytes(stream);
        for (int i = 0; i < bytes.Length && peer.Step == SessionStep.Read; i++)
        {
            bool inBody = peer.Session.InBody;
            long answered = peer.Session.Requests;
            peer.Send(bytes.AsSpan(i, 1));
            bool answers = peer.Session.Requests > answered;
            if (answers) _headEnds.Add(i + 1);
            if ((answers || inBody) && !peer.Session.InBody) _starts.Add(i + 1);
        }
    }

    /// <summary>
    /// From the end of the previous body to the end of its head if it was served; otherwise to the end of the stream, because its defect may be
    /// behind the byte at which it was rejected.
    /// </summary>
    public string Request(int index, bool served)
    {
        int start = index < _starts.Count ? _starts[index] : BodyStart(index);
        return _stream[start..(served && index < _headEnds.Count ? _headEnds[index] : _stream.Length)];
    }

    /// <summary>The body before it with framing and trailers; to the end of the stream if the body has no end.</summary>
    public string BodyBefore(int index)
    {
        int start = BodyStart(index);
        return _stream[start..(index < _starts.Count ? Math.Max(start, _starts[index]) : _stream.Length)];
    }

    private int BodyStart(int index) => index == 0 ? 0 : _headEnds[Math.Min(index, _headEnds.Count) - 1];
}
