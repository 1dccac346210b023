namespace DynamicSharding.Forward;

/// <summary>
/// One try to send one request, as its connection saw it: the client library's errors do not tell whether the connection had been kept, nor
/// whether a gateway had begun to respond. It ends the try, too, when the client is gone or nothing moves.
/// </summary>
internal sealed class ForwardAttempt : IDisposable
{
    /// <summary>How often the client's connection is looked at: nothing tells of a reset while its content waits here.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>For spoiling content that is cut off: a gateway that does not take it by then has not taken the push.</summary>
    private static readonly TimeSpan SpoilTime = TimeSpan.FromSeconds(1);

    /// <summary>Set in the flow that sends; the connection that it writes to finds it there.</summary>
    private static readonly AsyncLocal<ForwardAttempt?> Local = new();

    private readonly ClientConnection _client;
    private readonly RequestContent _content;
    private readonly AwakeClock _clock;
    private readonly TimeSpan _timeout;

    // Without a deadline of its own it needs no disposal, and a look that is late may still cancel it.
    private readonly CancellationTokenSource _end = new();
    private readonly CancellationTokenRegistration _gone;
    private readonly Timer _looks;
    private long _moved;
    private long _sent;
    private long _goneSince;
    private volatile bool _isSent;
    private volatile bool _isReused;
    private volatile bool _isAnswered;
    private volatile bool _timedOut;

    private ForwardAttempt(ClientConnection client, RequestContent content, AwakeClock clock, TimeSpan timeout)
    {
        _client = client;
        _content = content;
        _clock = clock;
        _timeout = timeout;
        _moved = clock.Now.Ticks;
        _looks = new Timer(static attempt => ((ForwardAttempt)attempt!).Look(), this, Timeout.Infinite, Timeout.Infinite);
        Plan();
        _gone = client.Gone.UnsafeRegister(static attempt => ((ForwardAttempt)attempt!).Abandon(), this);
    }

    public static ForwardAttempt? Current => Local.Value;

    /// <summary>Ends the attempt.</summary>
    public CancellationToken End => _end.Token;

    /// <summary>A connection was had, and a byte of the request was written to it.</summary>
    public bool IsSent => _isSent;

    /// <summary>That connection had carried a request before.</summary>
    public bool IsReused => _isReused;

    /// <summary>A byte of a response came.</summary>
    public bool IsAnswered => _isAnswered;

    /// <summary>It ended because nothing moved.</summary>
    public bool TimedOut => _timedOut;

    /// <summary>Since the first byte of the request was written.</summary>
    public TimeSpan SinceSent => _clock.Now - TimeSpan.FromTicks(Interlocked.Read(ref _sent));

    /// <summary>Begins an attempt that lasts to the end of the calling method.</summary>
    public static ForwardAttempt Begin(ClientConnection client, RequestContent content, AwakeClock clock, TimeSpan timeout) =>
        Local.Value = new ForwardAttempt(client, content, clock, timeout);

    /// <param name="isReused">The connection had carried a request before.</param>
    public void Sending(bool isReused)
    {
        Moved();
        if (_isSent) return;
        _isReused = isReused;
        Interlocked.Exchange(ref _sent, Interlocked.Read(ref _moved));
        _isSent = true;
    }

    public void Answered()
    {
        Moved();
        _isAnswered = true;
    }

    /// <summary>A byte went to the gateway or came from it.</summary>
    public void Moved() => Interlocked.Exchange(ref _moved, _clock.Now.Ticks);

    public void Dispose()
    {
        _gone.Dispose();
        _looks.Dispose();
    }

    private void Look()
    {
        _client.Look();
        TimeSpan now = _clock.Now;
        if (now.Ticks - Interlocked.Read(ref _moved) >= _timeout.Ticks && !_content.IsWaitingForClient)
        {
            _timedOut = true;
            _end.Cancel();
        }
        else if (Interlocked.Read(ref _goneSince) is var since and > 0 && now.Ticks - since >= SpoilTime.Ticks)
        {
            _end.Cancel();
        }
        else if (!_end.IsCancellationRequested)
        {
            Plan();
        }
    }

    private void Plan()
    {
        TimeSpan left = _timeout - TimeSpan.FromTicks(_clock.Now.Ticks - Interlocked.Read(ref _moved));
        TimeSpan next = left < LookEvery ? left : LookEvery;
        try
        {
            _looks.Change((long)Math.Max(next.TotalMilliseconds + 1, 1), Timeout.Infinite);
        }
        catch (ObjectDisposedException)
        {
            // Over meanwhile.
        }
    }

    /// <summary>At once; content of which the gateway has a part is spoiled before.</summary>
    private void Abandon()
    {
        if (_content.IsSpoiledWhenCut) Interlocked.Exchange(ref _goneSince, Math.Max(_clock.Now.Ticks, 1));
        else _end.Cancel();
    }
}
