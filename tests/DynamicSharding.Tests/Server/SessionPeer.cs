using System.Text;
using DynamicSharding.Config;
using DynamicSharding.Http;
using DynamicSharding.Ring;
using DynamicSharding.Routing;
using DynamicSharding.Server;

namespace DynamicSharding.Tests.Server;

/// <summary>
/// Drives a session like a connection does: keeps what it does not consume for the next call, and follows its steps. Checks the contract of
/// its interface on the way.
/// </summary>
internal sealed class SessionPeer
{
    public const string Gateway = "127.0.0.1:9091";
    private static readonly DateTimeOffset Time = new(1994, 11, 6, 8, 49, 37, TimeSpan.Zero);

    private readonly HttpSession _session;
    private readonly SessionContext _context;
    private readonly byte[] _output;
    private readonly StringBuilder _answers = new();
    private byte[] _pending = [];

    /// <param name="room">Bytes of the output buffer; the smallest that a loop would use by default.</param>
    public SessionPeer(LimitOptions? limits = null, bool draining = false, bool hasRing = true, Readiness? readiness = null, int room = 0)
    {
        limits ??= new LimitOptions();
        ActiveRing ring = new();
        if (hasRing) ring.Publish(HashRing<Gateway>.Build([new GatewayRegistry(1, "http", "").For(Gateway)], 100, "group"));
        if (readiness is null) (readiness = new Readiness()).SetReady();
        Router router = new(ring, new GroupingKey(ShardingKey.Group, limits.RequestLine), readiness, prefix: []);
        _session = new HttpSession(Counters.Loops[0]);
        _context = new SessionContext(0, limits, router, Counters.Loops[0], new HttpDate(Time)) { Draining = draining };
        _output = new byte[Math.Max(room, _context.MaxResponse)];
    }

    public DataPlaneCounters Counters { get; } = new(1);

    public HttpSession Session => _session;

    public string RawAnswers => _answers.ToString();

    /// <summary>All responses without their constant Date fields.</summary>
    public string Answers => RawAnswers.Replace("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "", StringComparison.Ordinal);

    /// <summary>The statuses of <see cref="Answers"/>, in order.</summary>
    public int[] Statuses => [.. ResponseText.Split(_answers.ToString()).Select(response => response.Status)];

    /// <summary>Number of sends.</summary>
    public int Writes { get; private set; }

    /// <summary>The last step: Read while the connection persists.</summary>
    public SessionStep Step { get; private set; }

    /// <summary>The last reject reason.</summary>
    public RejectReason LastReject { get; private set; }

    /// <summary>Bytes that the connection would have to keep.</summary>
    public int Kept => _pending.Length;

    public SessionPeer Send(string text) => Send(Encoding.Latin1.GetBytes(text));

    public SessionPeer Send(ReadOnlySpan<byte> bytes)
    {
        if (Step != SessionStep.Read) return this;
        _pending = [.. _pending, .. bytes];
        do
        {
            Step = _session.Advance(_pending, _context, _output, out int consumed, out int written);
            if (_context.Rejects.Count > 0) LastReject = (RejectReason)_context.Rejects[^1].Number;
            Assert.InRange(consumed, 0, _pending.Length);
            Assert.InRange(written, 0, _output.Length);
            Assert.False(Step == SessionStep.Flush && written == 0, "asked for room without having used any");
            _answers.Append(Encoding.Latin1.GetString(_output, 0, written));
            if (written > 0) Writes++;
            _pending = _pending[consumed..];
        }
        while (Step == SessionStep.Flush);
        return this;
    }

    public SessionPeer SendInPieces(ReadOnlySpan<byte> bytes, IEnumerable<int> cuts)
    {
        int start = 0;
        foreach (int cut in cuts)
        {
            Send(bytes[start..cut]);
            start = cut;
        }

        return Send(bytes[start..]);
    }

    public SessionPeer TimeOut()
    {
        int written = _session.WriteHeaderTimeout(_context, _output);
        _answers.Append(Encoding.Latin1.GetString(_output, 0, written));
        return this;
    }
}
