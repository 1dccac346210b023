namespace DynamicSharding.Forward;

/// <summary>
/// One try to send one request, as its connection saw it: the client library's errors do not tell whether a gateway had begun to answer,
/// and only a request that saw no byte of an answer may be sent again.
/// </summary>
internal sealed class ForwardAttempt
{
    /// <summary>Set in the flow that sends; the connection that it writes to finds it there.</summary>
    private static readonly AsyncLocal<ForwardAttempt?> Local = new();

    private volatile bool _isSent;
    private volatile bool _isAnswered;

    public static ForwardAttempt? Current => Local.Value;

    /// <summary>A connection was had, and a byte of the request was written to it.</summary>
    public bool IsSent
    {
        get => _isSent;
        set => _isSent = value;
    }

    /// <summary>A byte of an answer came.</summary>
    public bool IsAnswered
    {
        get => _isAnswered;
        set => _isAnswered = value;
    }

    /// <summary>Begins an attempt that lasts to the end of the calling method.</summary>
    public static ForwardAttempt Begin() => Local.Value = new ForwardAttempt();
}
