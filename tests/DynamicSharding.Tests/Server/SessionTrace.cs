using DynamicSharding.Server;
using DynamicSharding.Tests.Http;

namespace DynamicSharding.Tests.Server;

/// <summary>
/// Which bytes of a stream our session takes for which request, found by feeding it byte by byte: what a difference about one answer is
/// blamed on must stand in those.
/// </summary>
internal sealed class SessionTrace
{
    private readonly string _stream;
    private readonly List<int> _starts = [0];
    private readonly List<int> _headEnds = [];

    public SessionTrace(string stream)
    {
        _stream = stream;
        SessionPeer peer = new();
        byte[] bytes = ParsedHead.Bytes(stream);
        for (int i = 0; i < bytes.Length && peer.Step == SessionStep.Read; i++)
        {
            bool inBody = peer.Session.InBody;
            long answered = peer.Session.Requests;
            peer.Send(bytes.AsSpan(i, 1));
            bool answers = peer.Session.Requests > answered;
            if (answers) _headEnds.Add(i + 1);
            if ((answers || inBody) && !peer.Session.InBody) _starts.Add(i + 1);
        }
    }

    /// <summary>
    /// From the end of the body before it; to the end of its head where it was served, else to the end of the stream: what is wrong with it
    /// may come behind the byte at which it was refused.
    /// </summary>
    public string Request(int index, bool served)
    {
        int start = index < _starts.Count ? _starts[index] : BodyStart(index);
        return _stream[start..(served && index < _headEnds.Count ? _headEnds[index] : _stream.Length)];
    }

    /// <summary>The body before it, framing and trailers with it; to the end of the stream where its end was not found.</summary>
    public string BodyBefore(int index)
    {
        int start = BodyStart(index);
        return _stream[start..(index < _starts.Count ? Math.Max(start, _starts[index]) : _stream.Length)];
    }

    private int BodyStart(int index) => index == 0 ? 0 : _headEnds[Math.Min(index, _headEnds.Count) - 1];
}
