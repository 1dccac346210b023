using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.FunctionalTests.Peers;

/// <summary>Ports that nobody listens on; none is given twice in one run.</summary>
internal static class FreePort
{
    private static readonly ConcurrentDictionary<int, byte> Given = new();

    public static int Next(string address = "127.0.0.1")
    {
        while (true)
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
            int port = ((IPEndPoint)socket.LocalEndPoint!).Port;
            if (Given.TryAdd(port, 0)) return port;
        }
    }

    public static string NextAddress() => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{Next()}");

    /// <summary>For the tests that need a port of a given number: says plainly what is in the way.</summary>
    public static void Require(string address, string why)
    {
        // As servers do it: connections of an earlier run that are in TIME_WAIT are not in the way.
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
