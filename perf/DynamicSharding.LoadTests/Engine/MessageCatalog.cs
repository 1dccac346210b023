using System.Globalization;
using System.Text;
using DynamicSharding.LoadTests.Model;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>The writes of a scenario in their order, repeated. Built before the run.</summary>
internal static class MessageCatalog
{
    /// <summary>A longer body is sent from one shared array.</summary>
    private const int CopiedBody = 4096;

    private const string SampleLine = "load_test_last_success_timestamp_seconds 1.7e+09\n";

    public static Message[] Write(Scenario scenario, string host)
    {
        int[] wheel = Wheel(scenario);
        byte[][] bodies = [.. scenario.Requests.Select(Body)];
        // Enough for the share of every kind and for every group.
        int count = Math.Max(scenario.Groups, wheel.Length) / scenario.Pipeline;
        var messages = new Message[Math.Max(1, count)];
        int number = 0;
        for (int i = 0; i < messages.Length; i++)
        {
            var bytes = new MemoryStream();
            var expected = new Expectation[scenario.Pipeline];
            byte[] tail = [];
            for (int j = 0; j < expected.Length; j++, number++)
            {
                int kind = wheel[number % wheel.Length];
                bytes.Write(tail);
                tail = bodies[kind] is { Length: > CopiedBody } body ? body : [];
                expected[j] = WriteHead(bytes, scenario.Requests[kind], kind, number % scenario.Groups, host);
                if (tail.Length == 0) bytes.Write(bodies[kind]);
            }

            messages[i] = new Message(bytes.ToArray(), tail, expected);
        }

        return messages;
    }

    /// <summary>Each kind by its weight, in the same random order in every run.</summary>
    private static int[] Wheel(Scenario scenario)
    {
        int[] wheel = [.. scenario.Requests.SelectMany(static (kind, index) => Enumerable.Repeat(index, kind.Weight))];
#pragma warning disable CA5394 // The order is to be the same in every run; nothing secret is drawn.
        new Random(1).Shuffle(wheel);
#pragma warning restore CA5394
        return wheel;
    }

    private static Expectation WriteHead(MemoryStream bytes, RequestKind kind, int index, int group, string host)
    {
        string number = group.ToString("D6", CultureInfo.InvariantCulture);
        string target = kind.Path.Replace(RequestKind.GroupPlaceholder, number, StringComparison.Ordinal);
        if (kind.Raw is not null)
        {
            bytes.Write(Encoding.Latin1.GetBytes(kind.Raw.Replace(RequestKind.GroupPlaceholder, number, StringComparison.Ordinal)));
            return new Expectation(index, kind.ExpectedStatus, []);
        }

        string framing = kind.ChunkBytes > 0
            ? "Transfer-Encoding: chunked"
            : string.Create(CultureInfo.InvariantCulture, $"Content-Length: {kind.BodyBytes}");
        string fields = $"Host: {host}\r\nUser-Agent: dynamic-sharding-load-tests\r\nContent-Type: text/plain\r\n{framing}\r\n";
        bytes.Write(Encoding.Latin1.GetBytes($"{kind.Method} {target} HTTP/1.1\r\n{fields}\r\n"));
        return new Expectation(index, kind.ExpectedStatus, kind.ExpectedStatus == 307 ? Encoding.Latin1.GetBytes(target) : []);
    }

    private static byte[] Body(RequestKind kind)
    {
        if (kind.Raw is not null) return [];
        byte[] content = new byte[kind.BodyBytes];
        for (int i = 0; i < content.Length; i++) content[i] = (byte)SampleLine[i % SampleLine.Length];
        return kind.ChunkBytes > 0 ? Chunked(content, kind.ChunkBytes) : content;
    }

    private static byte[] Chunked(byte[] content, int size)
    {
        var bytes = new MemoryStream();
        foreach (byte[] chunk in content.Chunk(size))
        {
            bytes.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{chunk.Length:x}\r\n")));
            bytes.Write(chunk);
            bytes.Write("\r\n"u8);
        }

        bytes.Write("0\r\n\r\n"u8);
        return bytes.ToArray();
    }
}

/// <summary>The bytes of one write: one request, or several pipelined ones.</summary>
/// <param name="Head">The request with its body; a large body is in <paramref name="Tail"/>, which messages share.</param>
internal sealed record Message(byte[] Head, byte[] Tail, Expectation[] Expected)
{
    public int Length => Head.Length + Tail.Length;

    /// <summary>The bytes from an offset on, without a copy.</summary>
    public ReadOnlySpan<byte> From(int offset) => offset < Head.Length ? Head.AsSpan(offset) : Tail.AsSpan(offset - Head.Length);
}

/// <summary>The expected response to one request.</summary>
/// <param name="Kind">Its index among the scenario's request kinds.</param>
/// <param name="Target">The end of a 307's Location; empty for any other status.</param>
internal sealed record Expectation(int Kind, int Status, byte[] Target);
