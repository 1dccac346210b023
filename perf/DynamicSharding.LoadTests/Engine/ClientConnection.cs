namespace DynamicSharding.LoadTests.Engine;

/// <summary>One client of a scenario: its socket while it has one, the write it is at, and what has come back.</summary>
internal sealed class ClientConnection(int slot)
{
    /// <summary>Sixteen pipelined replies of the usual size and as many again.</summary>
    public const int BufferSize = 16 * 1024;

    public int Slot { get; } = slot;

    public int Fd { get; set; } = -1;

    /// <summary>The write whose replies are awaited; null while idle.</summary>
    public Message? Message { get; set; }

    /// <summary>When it should have been sent, in nanoseconds of the run's clock.</summary>
    public long Intended { get; set; }

    public long Started { get; set; }

    public int Sent { get; set; }

    /// <summary>The time before which a trickling client sends no more.</summary>
    public long NextPiece { get; set; }

    public int Answered { get; set; }

    /// <summary>The kernel has refused bytes; why is told once what was received has been looked at.</summary>
    public bool SendFailed { get; set; }

    public byte[] Buffer { get; } = new byte[BufferSize];

    public int Filled { get; set; }

    public void Begin(Message message, long intended, long now)
    {
        Message = message;
        Intended = intended;
        Started = now;
        Sent = 0;
        NextPiece = long.MinValue;
        Answered = 0;
    }
}
