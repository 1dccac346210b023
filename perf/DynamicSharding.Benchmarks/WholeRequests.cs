using System.Buffers;
using System.IO.Pipelines;
using BenchmarkDotNet.Attributes;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Server;

namespace DynamicSharding.Benchmarks;

/// <summary>Bytes in, bytes out: all of the data plane except its sockets. Figures are per request.</summary>
public class WholeRequests
{
    private const int Batch = 16;

    private readonly Pipe _pipe = new(new PipeOptions(
        minimumSegmentSize: 64 * 1024, useSynchronizationContext: false, readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline));

    private readonly byte[] _output = new byte[128 * 1024];
    private readonly byte[] _batch = [.. Enumerable.Repeat(RequestTexts.Typical, Batch).SelectMany(bytes => bytes)];
    private readonly HttpSession _session = new(new LoopCounters());
    private readonly SessionContext _context = NewContext();

    [Benchmark(Baseline = true)]
    public int Alone() => Serve(RequestTexts.Typical);

    [Benchmark(OperationsPerInvoke = Batch)]
    public int Pipelined() => Serve(_batch);

    private int Serve(byte[] requests)
    {
        requests.CopyTo(_pipe.Writer.GetSpan(requests.Length));
        _pipe.Writer.Advance(requests.Length);
        _pipe.Writer.FlushAsync().AsTask().GetAwaiter().GetResult();
        _ = _pipe.Reader.TryRead(out ReadResult read);
        SessionStep step = _session.Advance(read.Buffer.FirstSpan, _context, _output, out int consumed, out int written);
        _pipe.Reader.AdvanceTo(read.Buffer.GetPosition(consumed));
        return step == SessionStep.Read && consumed == requests.Length ? written : throw new InvalidOperationException($"{step}, {consumed} bytes");
    }

    private static SessionContext NewContext()
    {
        var gateways = new GatewayRegistry(1, "http", "");
        var ring = new ActiveRing();
        ring.Publish(HashRing<Gateway>.Build(Enumerable.Range(1, 10).Select(i => gateways.For($"10.0.0.{i}:9091")), 500, "group"));
        var readiness = new Readiness();
        readiness.SetReady();
        var limits = new LimitOptions();
        var router = new Router(ring, new GroupingKey(ShardingKey.Group, limits.RequestLine), readiness, prefix: []);
        return new SessionContext(0, limits, router, new LoopCounters(), new HttpDate(DateTimeOffset.UnixEpoch));
    }
}
