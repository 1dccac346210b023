namespace DynamicSharding.LoadTests.Engine;

/// <summary>One client of a scenario: its socket, its current write, and what it received.</summary>
internal sealed class ClientConnection(int slot)
{
    /// <summary>Twice sixteen pipelined replies of the usual size.</summary>
    public const int BufferSize = 16 * 1024;

    public int Slot { get; } = slot;

    public int Fd { get; set; } = -1;

    /// <summary>The write whose replies are awaited; null while idle.</summary>
    public Message? Message { get; set; }

    /// <summary>When it should have been sent, in nanoseconds of the run's clock.</summary>
    public long Intended { get; set; }

    public long Started { get; set; }

    public int Sent { get; set; }

    /// <summary>When a trickling client may send again.</summary>
    public long NextPiece { get; set; }

    public int Answered { get; set; }

    /// <summary>A send failed; reported after the received bytes were handled.</summary>
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
