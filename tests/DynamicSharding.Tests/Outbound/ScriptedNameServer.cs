using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Tests.Outbound;

/// <summary>Responds to each query over UDP with what the test says, or not at all.</summary>
internal sealed class ScriptedNameServer : IDisposable
{
    public const int A = 1, Aaaa = 28;

    /// <summary>Response codes with the flags of a recursive response.</summary>
    public const int NoError = 0x8180, ServerFailure = 0x8182, NoSuchName = 0x8183, Refused = 0x8185;

    private readonly UdpClient _server = new(new IPEndPoint(IPAddress.Loopback, 0));
    private readonly Func<int, byte[]?> _respond;
    private int _queries;

    /// <param name="respond">Given the type of a query, returns the end of the response, see <see cref="Response"/>; null for silence.</param>
    public ScriptedNameServer(Func<int, byte[]?> respond)
    {
        _respond = respond;
        _ = ServeAsync();
    }

    public string Address => _server.Client.LocalEndPoint!.ToString()!;

    public int Queries => Volatile.Read(ref _queries);

    /// <summary>The flags, and a record of TTL 0 for each address.</summary>
    public static byte[] Response(int flags, params string[] addresses) => Valid(0, flags, addresses);

    /// <summary>The same with another TTL, in seconds.</summary>
    public static byte[] Valid(byte timeToLive, int flags, params string[] addresses)
    {
        byte[] records =
        [
            .. addresses.Select(IPAddress.Parse).Select(static address => address.GetAddressBytes())
                .SelectMany(bytes => (byte[])[0xc0, 12, 0, (byte)(bytes.Length == 4 ? A : Aaaa), 0, 1, 0, 0, 0, timeToLive, 0, (byte)bytes.Length, .. bytes]),
        ];
        return [(byte)(flags >> 8), (byte)flags, (byte)addresses.Length, .. records];
    }

    public void Dispose() => _server.Dispose();

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                UdpReceiveResult query = await _server.ReceiveAsync();
                Interlocked.Increment(ref _queries);
                byte[] asked = query.Buffer;
                int end = Array.IndexOf(asked, (byte)0, 12) + 5;
                if (_respond((asked[end - 4] << 8) | asked[end - 3]) is not { } response) continue;
                byte[] head = [asked[0], asked[1], response[0], response[1], 0, 1, 0, response[2], 0, 0, 0, 0];
                await _server.SendAsync((byte[])[.. head, .. asked.AsSpan(12, end - 12), .. response.AsSpan(3)], query.RemoteEndPoint);
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or SocketException)
        {
            // The test is over.
        }
    }
}
