using System.Net;
using System.Net.Sockets;

namespace DynamicSharding.Server;

/// <summary>
/// Leaves a port that other processes share by SO_REUSEPORT: steers new connections to a process that stays, before the socket closes
/// (docs/decisions/0008). A process cannot find out its own index in the group, and indexes change when a process leaves. So it probes: an index
/// that accepts a few probe connections belongs to a process that stays, because stopping processes ignore probes.
/// </summary>
internal sealed class PortHandover(Socket socket, TimeProvider time) : IDisposable
{
    /// <summary>
    /// Beyond the last index the kernel falls back to its hash, which selects the same of two sockets eight times in only one of 256 cases.
    /// </summary>
    private const int ProbesPerIndex = 8;

    private const int MaxIndexes = 64;

    /// <summary>A local handshake takes microseconds, on a busy machine longer.</summary>
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromMilliseconds(100);

    /// <summary>Until a SYN that the kernel was handling when the steering began is handled; ignoring it would cost a retransmission.</summary>
    private static readonly TimeSpan SteeringGrace = TimeSpan.FromMilliseconds(50);

    /// <summary>A slow round trip, in which pending handshakes complete.</summary>
    private static readonly TimeSpan HandshakeGrace = TimeSpan.FromMilliseconds(250);

    /// <summary>Time for several processes that leave first, half a second each.</summary>
    private static readonly TimeSpan TurnTimeout = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan TurnPoll = TimeSpan.FromMilliseconds(20);

    private readonly int _fd = (int)socket.Handle;
    private readonly IPEndPoint _endPoint = (IPEndPoint)socket.LocalEndPoint!;
    private Socket? _turn;

    /// <summary>From now on no leaving process steers to this socket. Clients notice nothing.</summary>
    public void Announce() => ReusePortGroup.IgnoreProbes(_fd);

    /// <summary>While still accepting, steers new connections to a process that stays and lets pending handshakes complete.</summary>
    public async Task SteerAwayAsync()
    {
        Announce();

        // A process that leaves changes the indexes of the others and ends the steering, so they leave one by one.
        await TakeTurnAsync();
        if (!await TrySteerAsync())
        {
            // No other process stays: serves new connections to the last moment.
            ReusePortGroup.EndSteering(_fd);
            return;
        }

        await Task.Delay(SteeringGrace, time);
        ReusePortGroup.IgnoreSyns(_fd);
        await Task.Delay(HandshakeGrace, time);
    }

    /// <summary>Right before the socket closes.</summary>
    public void Leave() => ReusePortGroup.Leave(_fd);

    /// <summary>After the socket has closed: lets the next process leave.</summary>
    public void Dispose() => _turn?.Dispose();

    private async Task TakeTurnAsync()
    {
        // An abstract name belongs to the network namespace, like the port, and ends with its process.
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
            catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse && time.GetElapsedTime(start) < TurnTimeout)
            {
                await Task.Delay(TurnPoll, time);
            }
            catch (SocketException)
            {
                // Timeout, or a sandbox. Without a turn a few SYNs may need a retransmission.
                turn.Dispose();
                return;
            }
        }
    }

    private async Task<bool> TrySteerAsync()
    {
        // Is there another process? By the kernel's hash, all of these miss one other process in one of 65,536 cases.
        ReusePortGroup.EndSteering(_fd);
        if (await ProbeAsync(2 * ProbesPerIndex) == 0) return false;
        for (uint index = 0; index < MaxIndexes; index++)
        {
            ReusePortGroup.SteerTo(_fd, index);
            if (await ProbeAsync(ProbesPerIndex) == ProbesPerIndex) return true;
        }

        return false;
    }

    /// <returns>How many of these connections succeeded.</returns>
    private async Task<int> ProbeAsync(int count)
    {
        using var timeout = new CancellationTokenSource(ProbeTimeout, time);
        bool[] connected = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => TryConnectAsync(timeout.Token)));
        return connected.Count(static success => success);
    }

    private async Task<bool> TryConnectAsync(CancellationToken cancellation)
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
