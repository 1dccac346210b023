using System.Globalization;
using System.Text;

namespace DynamicSharding.Tests.Server;

/// <summary>Nearly valid streams: requests with defects that parsers disagree about. The same seed gives the same stream.</summary>
internal sealed class RequestMutator(int seed)
{
    private static readonly string[] Lines =
    [
        "PUT /metrics/job/a HTTP/1.1", "POST /metrics/job/a/b/c HTTP/1.1", "GET /metrics/job/a HTTP/1.1", "DELETE /metrics/job/a HTTP/1.0",
        "PUT http://x/metrics/job/a HTTP/1.1", "PUT /metrics/job/a?q=1 HTTP/1.1", "PUT /metrics/job/a HTTP/1.0",
    ];

    private static readonly string[] Fields =
    [
        "Accept: */*", "User-Agent: curl/8", "Connection: keep-alive", "Connection: x, close", "Content-Type: text/plain", "X-Empty:", "A:\tb\t",
        "Expect: 100-continue", "TE: trailers", "Accept-Encoding: gzip", "X-Long: 0123456789012345678901234567890123456789",
    ];

    private static readonly string[] BadFields =
    [
        "Content-Length: 5", "Content-Length: +5", "Content-Length: -0", "Content-Length: 05", "Content-Length: 5, 5", "Content-Length: 0x5",
        "Content-Length : 5", "Content-Length: ", "Content-Length: 99999999999999999999", "content-length:5", "Transfer-Encoding: chunked",
        "Transfer-Encoding: Chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity",
        "Transfer-Encoding:\tchunked", "Transfer-Encoding : chunked", "Transfer-Encoding: \u000Bchunked", "Host: y", "Host: a b", "Host: a/b",
        "Host: u@b", "no colon", ": empty", " folded", "\tfolded", "Na me: v", "N\u00E4me: v", "V: \u00FC", "V: a\u0000b", "V: a\u0001b",
    ];

    private static readonly string[] Chunked =
    [
        "5\r\nhello\r\n0\r\n\r\n", "5;x=y\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nT: u\r\n\r\n", "05\r\nhello\r\n000\r\n\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ];

    private static readonly string[] Bytes =
    [
        "\r", "\n", "\r\n", "\0", "\t", " ", ":", ",", ";", "/", "?", "#", "%", "%00", "%zz", "\\", "\u007F", "\u0080", "\u00FF", "\u0001", "\u000B", "+", "-", "0",
        "5", "a", "Z", "@", "*", "..", "\"", "(", "<", "{", "HTTP/1.1", "http://", "\r\n\r\n",
    ];

    private readonly Random _random = new(seed);

    /// <summary>One or two requests, damaged in none to four places. What each server makes of the last of it may stay open.</summary>
    public string Next()
    {
        StringBuilder text = new(Request());
        if (_random.Next(3) == 0) text.Append(Request());
        for (int i = _random.Next(5); i > 0; i--) Damage(text);
        return text.ToString();
    }

    private string Request()
    {
        StringBuilder text = new(Pick(Lines));
        text.Append("\r\n");
        List<string> fields = [];
        if (_random.Next(20) > 0) fields.Add("Host: x");
        for (int i = _random.Next(4); i > 0; i--) fields.Add(Pick(Fields));
        if (_random.Next(3) == 0) fields.Add(Pick(BadFields));
        string body = "";
        switch (_random.Next(4))
        {
            case 0:
                body = new string('b', _random.Next(20));
                fields.Add(string.Create(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}"));
                break;
            case 1:
                body = Pick(Chunked);
                fields.Add("Transfer-Encoding: chunked");
                break;
        }

        string[] shuffled = [.. fields];
        _random.Shuffle(shuffled);
        foreach (string field in shuffled) text.Append(field).Append("\r\n");
        return text.Append("\r\n").Append(body).ToString();
    }

    private void Damage(StringBuilder text)
    {
        int at = _random.Next(text.Length);
        switch (_random.Next(5))
        {
            case 0:
                text.Insert(at, Pick(Bytes));
                break;
            case 1:
                text.Remove(at, Math.Min(text.Length - at, 1 + _random.Next(3)));
                break;
            case 2:
                text.Remove(at, 1).Insert(at, Pick(Bytes));
                break;
            case 3:
                text[at] = (char)_random.Next(256);
                break;
            default:
                int length = Math.Min(text.Length - at, _random.Next(30));
                text.Insert(_random.Next(text.Length), text.ToString(at, length));
                break;
        }

        if (text.Length == 0) text.Append('x');
    }

    private string Pick(string[] choices) => choices[_random.Next(choices.Length)];
}
