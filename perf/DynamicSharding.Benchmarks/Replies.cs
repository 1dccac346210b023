using BenchmarkDotNet.Attributes;
using DynamicSharding.Http;

namespace DynamicSharding.Benchmarks;

/// <summary>Responses from prebuilt bytes.</summary>
public class Replies
{
    private readonly byte[] _output = new byte[4096];
    private readonly byte[] _head = ResponseWriter.RedirectHead("http://10.0.0.17:9091");
    private readonly byte[] _path = "/metrics/job/backup/env/prod/instance/db-17:9100"u8.ToArray();
    private readonly HttpDate _date = new(DateTimeOffset.UnixEpoch);

    [Benchmark(Baseline = true)]
    public int Redirect()
    {
        var writer = new ResponseWriter(_output, _date.Bytes);
        writer.WriteRedirect(_head, _path, default, ConnectionOption.None);
        return writer.Written;
    }

    [Benchmark]
    public int Reject()
    {
        var writer = new ResponseWriter(_output, _date.Bytes);
        writer.WriteReject(RejectReason.BadFieldName, default, isHead: false, ConnectionOption.Close);
        return writer.Written;
    }
}
