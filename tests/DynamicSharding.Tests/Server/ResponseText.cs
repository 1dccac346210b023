using System.Globalization;

namespace DynamicSharding.Tests.Server;

/// <summary>One response, parsed strictly by RFC 9112: a malformed one fails the test.</summary>
internal sealed record ResponseText(int Status, IReadOnlyDictionary<string, string> Fields, string Body)
{
    public bool Closes => Fields.TryGetValue("Connection", out string? value) && value == "close";

    /// <summary>All responses of a stream whose requests are not HEAD; nothing may be left over.</summary>
    public static List<ResponseText> Split(string stream)
    {
        List<ResponseText> responses = [];
        for (int at = 0; at < stream.Length;)
        {
            Assert.True(TryRead(stream, ref at, head: false, out ResponseText? response), $"no whole response at {at}: {stream[at..]}");
            responses.Add(response!);
        }

        return responses;
    }

    /// <returns>False if the stream ends within the response.</returns>
    public static bool TryRead(string stream, ref int at, bool head, out ResponseText? response)
    {
        response = null;
        int headEnd = stream.IndexOf("\r\n\r\n", at, StringComparison.Ordinal);
        if (headEnd < 0) return false;
        string[] lines = stream[at..headEnd].Split("\r\n");
        Assert.Matches(@"\AHTTP/1\.1 [1-5][0-9][0-9] [A-Za-z -]+\z", lines[0]);
        Dictionary<string, string> fields = new(StringComparer.Ordinal);
        foreach (string line in lines.Skip(1))
        {
            Assert.Matches(@"\A[A-Za-z-]+: [\x21-\x7E]([\x20-\x7E]*[\x21-\x7E])?\z", line);
            int colon = line.IndexOf(": ", StringComparison.Ordinal);
            Assert.True(fields.TryAdd(line[..colon], line[(colon + 2)..]), $"twice: {line}");
        }

        Assert.True(fields.ContainsKey("Date") && fields.ContainsKey("Content-Length"), $"a field is missing: {stream[at..headEnd]}");
        int body = headEnd + 4;
        int end = body + (head ? 0 : int.Parse(fields["Content-Length"], NumberStyles.None, CultureInfo.InvariantCulture));
        if (end > stream.Length) return false;
        response = new ResponseText(int.Parse(lines[0].AsSpan(9, 3), CultureInfo.InvariantCulture), fields, stream[body..end]);
        at = end;
        return true;
    }
}
