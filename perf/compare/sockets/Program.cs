using System.Globalization;
using System.Net;
using System.Net.Sockets;
using DynamicSharding.Compare;
using DynamicSharding.Config;
using DynamicSharding.Ring;
using DynamicSharding.Routing;

// One port, three gateways. The runtime's engine takes its settings from DOTNET_SYSTEM_NET_SOCKETS_*.
var gateways = new GatewayRegistry(loops: 1, "http", "");
var ring = new ActiveRing();
ring.Publish(HashRing<Gateway>.Build([gateways.For("127.0.0.1:9091"), gateways.For("127.0.0.2:9091"), gateways.For("127.0.0.3:9091")], 500, "group"));
using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
listener.Bind(new IPEndPoint(IPAddress.Loopback, int.Parse(args[0], CultureInfo.InvariantCulture)));
listener.Listen(4096);
while (true)
{
    Socket socket = await listener.AcceptAsync();
    _ = SocketConnection.ServeAsync(socket, () => Contexts.New(ring, new LimitOptions()));
}
