using BenchmarkDotNet.Attributes;
using DynamicSharding.Http;

namespace DynamicSharding.Benchmarks;

/// <summary>One request head, from its first byte to its empty line.</summary>
public class RequestParsing
{
    private static readonly ParserLimits Limits = new(8192, 32 * 1024, 100);

    [Benchmark]
    public int Shortest() => Parse(RequestTexts.Shortest);

    [Benchmark(Baseline = true)]
    public int Typical() => Parse(RequestTexts.Typical);

    [Benchmark]
    public int ThirtyFields() => Parse(RequestTexts.ThirtyFields);

    private static int Parse(byte[] request)
    {
        RequestParser parser = default;
        return parser.Parse(request, Limits) == ParseStatus.Done ? parser.HeadLength : throw new InvalidOperationException("not a request");
    }
}
