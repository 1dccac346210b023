using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>
/// Free ports; none is returned twice in one run. They are below the ephemeral ports, because an outgoing connection
/// could take a port before its peer binds it, or while the peer is dead.
/// </summary>
internal static class FreePort
{
    private const int First = 12_000;
    private const int End = 32_000;

    private static readonly ConcurrentDictionary<int, byte> Given = new();

    public static int Next(string address = "127.0.0.1")
    {
        while (true)
        {
            int port = Random.Shared.Next(First, End);
            if (Given.TryAdd(port, 0) && IsFree(new IPEndPoint(IPAddress.Parse(address), port))) return port;
        }
    }

    public static string NextAddress() => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{Next()}");

    private static bool IsFree(IPEndPoint endPoint)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endPoint);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>For tests that need a fixed port: fails with a clear message if it is taken.</summary>
    public static void Require(string address, string why)
    {
        // Like servers: connections of an earlier run in TIME_WAIT do not matter.
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        try
        {
            socket.Bind(IPEndPoint.Parse(address));
            socket.Listen(1);
        }
        catch (SocketException e)
        {
            Assert.Fail($"{address} must be free for this test: {why} ({e.Message}; is tests/lab.sh or another gateway up?)");
        }
    }
}
