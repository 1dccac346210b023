using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Server;

/// <summary>
/// The way out of a port that other processes share by SO_REUSEPORT: new connections are steered to one that stays, before the socket closes
/// (docs/decisions/0008). Nothing tells a process which place in the group is its own, and places change when somebody leaves. So it is tried:
/// a place at which a few connections of our own are taken belongs to somebody who stays, because whoever stops ignores such connections.
/// </summary>
internal sealed class PortHandover(Socket socket, TimeProvider time) : IDisposable
{
    /// <summary>A hash over two sockets, which the kernel falls back to beyond the last place, gives the same one so often in one of 256 cases.</summary>
    private const int ProbesPerPlace = 8;

    /// <summary>More processes on one port are steered to by chance only.</summary>
    private const int MaxPlaces = 64;

    /// <summary>On one machine a handshake is a matter of microseconds; a busy one may take a while to tell.</summary>
    private static readonly TimeSpan ProbePatience = TimeSpan.FromMilliseconds(100);

    /// <summary>So that a SYN that is being handled when new connections are steered away is through, and is not left to its repetition.</summary>
    private static readonly TimeSpan SteeringGrace = TimeSpan.FromMilliseconds(50);

    /// <summary>A slow round trip: how long handshakes with a socket that is about to close may take.</summary>
    private static readonly TimeSpan HandshakeGrace = TimeSpan.FromMilliseconds(250);

    /// <summary>For those that leave before us, half a second each; whoever holds the turn longer hangs.</summary>
    private static readonly TimeSpan TurnPatience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan TurnPoll = TimeSpan.FromMilliseconds(20);

    private readonly int _fd = (int)socket.Handle;
    private readonly IPEndPoint _endPoint = (IPEndPoint)socket.LocalEndPoint!;
    private Socket? _turn;

    /// <summary>From now on nobody who leaves steers to this socket. Clients notice nothing.</summary>
    public void Announce() => ReusePortGroup.IgnoreProbes(_fd);

    /// <summary>Still accepting: lets those who stay have what is new, and the handshakes at hand come to their end.</summary>
    public async Task SteerAwayAsync()
    {
        Announce();

        // Each who leaves moves the places of the others and ends the steering: one after the other.
        await TakeTurnAsync();
        if (!await SteerToOneThatStaysAsync())
        {
            // Alone, or the others stop as well: whoever comes is served to the last moment.
            ReusePortGroup.EndSteering(_fd);
            return;
        }

        await Task.Delay(SteeringGrace, time);
        ReusePortGroup.IgnoreSyns(_fd);
        await Task.Delay(HandshakeGrace, time);
    }

    /// <summary>Right before the socket closes.</summary>
    public void Leave() => ReusePortGroup.Leave(_fd);

    /// <summary>After the socket has closed: the next may leave.</summary>
    public void Dispose() => _turn?.Dispose();

    private async Task TakeTurnAsync()
    {
        // An abstract name lives in the network namespace, as the port does, and ends with its process.
        var name = new UnixDomainSocketEndPoint($"\0dynamic-sharding leaves {_endPoint}");
        var turn = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        long start = time.GetTimestamp();
        while (true)
        {
            try
            {
                turn.Bind(name);
                _turn = turn;
                return;
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse && time.GetElapsedTime(start) < TurnPatience)
            {
                await Task.Delay(TurnPoll, time);
            }
            catch (SocketException)
            {
                // Out of patience, or a sandbox: without a turn a few SYNs may have to be repeated.
                turn.Dispose();
                return;
            }
        }
    }

    private async Task<bool> SteerToOneThatStaysAsync()
    {
        // By the kernel's hash, anybody: with one other of two, none of these reaches it in one of 65,536 cases.
        ReusePortGroup.EndSteering(_fd);
        if (await ProbeAsync(2 * ProbesPerPlace) == 0) return false;
        for (uint place = 0; place < MaxPlaces; place++)
        {
            ReusePortGroup.SteerTo(_fd, place);
            if (await ProbeAsync(ProbesPerPlace) == ProbesPerPlace) return true;
        }

        return false;
    }

    /// <returns>How many of these connections somebody took.</returns>
    private async Task<int> ProbeAsync(int count)
    {
        using var patience = new CancellationTokenSource(ProbePatience, time);
        bool[] taken = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => ConnectAsync(patience.Token)));
        return taken.Count(static one => one);
    }

    private async Task<bool> ConnectAsync(CancellationToken cancellation)
    {
        IPAddress address = _endPoint.Address.Equals(IPAddress.Any) ? IPAddress.Loopback
            : _endPoint.Address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : _endPoint.Address;
        try
        {
            using var probe = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            probe.SetRawSocketOption(LibC.IPPROTO_TCP, LibC.TCP_MAXSEG, BitConverter.GetBytes(ReusePortGroup.ProbeSegment));
            await probe.ConnectAsync(new IPEndPoint(address, _endPoint.Port), cancellation);
            return true;
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            return false;
        }
    }
}
