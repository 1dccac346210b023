using System.Globalization;
using System.Text;

namespace DynamicSharding.Tests.Forward;

/// <summary>A valid response with everything that may vary in one, and what has to become of it. The same seed gives the same response.</summary>
internal sealed class PlannedResponse
{
    private const string EndsIdle = "timeout=0";

    private const string TakesNoMore = "timeout=5, max=0";

    private static readonly int[] Statuses = [200, 200, 200, 202, 204, 205, 304, 307, 400, 413, 500, 503];

    private static readonly (string? Text, int? Timeout)[] KeepAlives =
    [
        (null, null), (null, null), (null, null), (null, null), ("timeout=5", 5), ("max=1, Timeout=9", 9), ("timeout=", null), (EndsIdle, 0),
        (TakesNoMore, 5),
    ];

    public PlannedResponse(int seed)
    {
        var random = new Random(seed);
        Status = Statuses[random.Next(Statuses.Length)];
        ToHttp10 = random.Next(4) == 0;
        bool isHttp10 = random.Next(5) == 0;
        bool hasContent = Status is not (204 or 205 or 304);
        int length = random.Next(4) switch { 0 => 0, 1 => random.Next(20), 2 => random.Next(3000), _ => random.Next(200_000) };
        Content = hasContent ? Bytes(random, length) : "";
        bool isChunked = hasContent && !isHttp10 && random.Next(2) == 0;
        bool hasLength = !isChunked && (Status == 205 || random.Next(3) > 0);
        bool closes = random.Next(4) == 0;
        bool keepsAlive = isHttp10 && random.Next(2) == 0;

        var fields = new List<string>();
        for (int i = random.Next(4); i > 0; i--) EndToEnd.Add(string.Create(CultureInfo.InvariantCulture, $"X-E{i}: {new string('v', random.Next(1, 300))}"));
        fields.AddRange(EndToEnd);
        if (random.Next(2) == 0) fields.Add("Date: Sun, 06 Nov 1994 08:49:37 GMT");
        (string? keepAlive, Timeout) = KeepAlives[random.Next(KeepAlives.Length)];
        if (keepAlive is not null) fields.Add("keep-alive: " + keepAlive);
        string options = string.Join(", ", new[] { closes ? "close" : null, keepsAlive ? "Keep-Alive" : null, random.Next(3) == 0 ? "x-hop" : null }.Where(static option => option is not null));
        if (options.Length > 0) fields.Insert(random.Next(fields.Count + 1), "Connection: " + options);
        if (options.Contains("x-hop", StringComparison.Ordinal)) fields.Insert(random.Next(fields.Count + 1), "X-Hop: 1");
        if (hasLength) fields.Insert(random.Next(fields.Count + 1), string.Create(CultureInfo.InvariantCulture, $"content-length: {(Status == 304 ? 500 : Content.Length)}"));
        if (isChunked) fields.Insert(random.Next(fields.Count + 1), "Transfer-Encoding: Chunked");

        var text = new StringBuilder();
        for (int i = random.Next(4) == 0 ? random.Next(1, 17) : 0; i > 0; i--) text.Append("HTTP/1.1 103 Early Hints\r\nX-Hop: 1\r\nKeep-Alive: timeout=0\r\n\r\n");
        text.Append(CultureInfo.InvariantCulture, $"HTTP/1.{(isHttp10 ? 0 : 1)} {Status} Phrase\r\n");
        EndToEnd = [.. fields.Where(static field => field.StartsWith("X-E", StringComparison.Ordinal))];
        foreach (string field in fields) text.Append(field).Append("\r\n");
        text.Append("\r\n");
        if (isChunked) AppendChunks(random, text);
        else text.Append(Content);
        Text = text.ToString();
        bool untilClose = hasContent && !isChunked && !hasLength;
        Keeps = !closes && keepAlive is not (EndsIdle or TakesNoMore) && (!isHttp10 || keepsAlive) && !untilClose;
        Behind = untilClose || random.Next(4) > 0 ? "" : Bytes(random, random.Next(1, 100));
    }

    public string Text { get; }

    /// <summary>Bytes behind it, which are no part of it.</summary>
    public string Behind { get; }

    public int Status { get; }

    public string Content { get; }

    /// <summary>Field lines that have to reach the client, in order.</summary>
    public List<string> EndToEnd { get; } = [];

    /// <summary>The gateway's connection may persist.</summary>
    public bool Keeps { get; }

    /// <summary>What it says of idle connections, in seconds.</summary>
    public int? Timeout { get; }

    /// <summary>The client speaks HTTP/1.0.</summary>
    public bool ToHttp10 { get; }

    private void AppendChunks(Random random, StringBuilder text)
    {
        for (int at = 0; at < Content.Length;)
        {
            int length = Math.Min(Content.Length - at, random.Next(3) switch { 0 => random.Next(1, 4), 1 => random.Next(1, 1000), _ => random.Next(1, 100_000) });
            text.Append(random.Next(4) == 0 ? "000" : "").Append(length.ToString(random.Next(2) == 0 ? "x" : "X", CultureInfo.InvariantCulture));
            text.Append(random.Next(8) == 0 ? " ;ext=\"v\"" : "").Append("\r\n").Append(Content, at, length).Append("\r\n");
            at += length;
        }

        text.Append("0\r\n").Append(random.Next(4) == 0 ? "X-Hop-Trailer: t\r\n" : "").Append("\r\n");
    }

    private static string Bytes(Random random, int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return Encoding.Latin1.GetString(bytes);
    }
}
