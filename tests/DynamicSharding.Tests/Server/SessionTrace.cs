using DynamicSharding.Server;
using DynamicSharding.Tests.Http;

namespace DynamicSharding.Tests.Server;

/// <summary>
/// Maps the bytes of a stream to requests by feeding them to our session one by one. The cause of a difference about a response must be in the
/// bytes of its request.
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
    /// From the end of the previous body to the end of its head if it was served; otherwise to the end of the stream, because its defect may be
    /// behind the byte at which it was rejected.
    /// </summary>
    public string Request(int index, bool served)
    {
        int start = index < _starts.Count ? _starts[index] : BodyStart(index);
        return _stream[start..(served && index < _headEnds.Count ? _headEnds[index] : _stream.Length)];
    }

    /// <summary>The body before it with framing and trailers; to the end of the stream if the body has no end.</summary>
    public string BodyBefore(int index)
    {
        int start = BodyStart(index);
        return _stream[start..(index < _starts.Count ? Math.Max(start, _starts[index]) : _stream.Length)];
    }

    private int BodyStart(int index) => index == 0 ? 0 : _headEnds[Math.Min(index, _headEnds.Count) - 1];
}
